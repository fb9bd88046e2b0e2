"""Phases, condition types, condition reasons and event reasons. Stable: dashboards and people depend on them.

Conditions follow kstatus: `Ready` is always present; `Reconciling` and `Stalled` exist only while True.
"""

from typing import Literal

Phase = Literal[
    "Pending", "Resolving", "Quantizing", "Converting", "Benchmarking", "RollingOut", "Ready", "Failed", "Suspended"
]
PHASES: tuple[Phase, ...] = (
    "Pending",
    "Resolving",
    "Quantizing",
    "Converting",
    "Benchmarking",
    "RollingOut",
    "Ready",
    "Failed",
    "Suspended",
)

READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"
MODEL_RESOLVED = "ModelResolved"
QUANTIZED = "Quantized"
CONVERTED = "Converted"
BUDGET_MET = "BudgetMet"
ROLLED_OUT = "RolledOut"

# Condition reasons
SUCCEEDED = "Succeeded"
PROGRESSING = "Progressing"
WAITING = "Waiting"
FAILED = "Failed"
SUSPENDED = "Suspended"
INVALID_SPEC = "InvalidSpec"
ACCURACY_GATE_FAILED = "AccuracyGateFailed"
ACCURACY_INCONCLUSIVE = "AccuracyInconclusive"
ACCURACY_REGRESSED = "AccuracyRegressed"
DELEGATION_GATE_FAILED = "DelegationGateFailed"
LATENCY_BUDGET_EXCEEDED = "LatencyBudgetExceeded"
LATENCY_INCONCLUSIVE = "LatencyInconclusive"
LATENCY_REGRESSED = "LatencyRegressed"
REGRESSION_INCONCLUSIVE = "RegressionInconclusive"
MEMORY_BUDGET_EXCEEDED = "MemoryBudgetExceeded"
MEMORY_UNAVAILABLE = "MemoryUnavailable"
POWER_BUDGET_EXCEEDED = "PowerBudgetExceeded"
POWER_UNAVAILABLE = "PowerUnavailable"
PROVENANCE_TOO_WEAK = "ProvenanceTooWeak"
BUDGET_MET_REASON = "WithinBudget"
PARTIALLY_READY = "SomeTargetsFailed"
BOARD_BUSY = "WaitingForBoard"
NO_BOARD = "NoSuchBoard"
NODE_LOST = "NodeLost"
JOB_REFUSED = "JobRefused"
ROLLED_BACK = "RolledBack"
FLEET_NOT_CONFIGURED = "FleetNotConfigured"
NOT_DEPLOYABLE = "NotDeployable"
COMPLETED = "Completed"

# Event reasons
EVENT_STAGE_STARTED = "StageStarted"
EVENT_STAGE_SUCCEEDED = "StageSucceeded"
EVENT_STAGE_FAILED = "StageFailed"
EVENT_GATE_FAILED = "GateFailed"
EVENT_TARGET_FAILED = "TargetFailed"
EVENT_SELECTED = "VariantSelected"
EVENT_READY = "Ready"
EVENT_SUSPENDED = "Suspended"
EVENT_RESUMED = "Resumed"
EVENT_INVALID = "InvalidSpec"
EVENT_BOARD_ADVERTISED = "BoardAdvertised"
EVENT_WAVE_STARTED = "WaveStarted"
EVENT_WAVE_REACHED = "WaveReached"
EVENT_ROLLOUT_PAUSED = "RolloutPaused"
EVENT_ROLLOUT_RESUMED = "RolloutResumed"
EVENT_ROLLOUT_COMPLETED = "RolloutCompleted"
EVENT_ROLLING_BACK = "RollingBack"
EVENT_ROLLED_BACK = "RolledBack"
EVENT_VEHICLE_FAILED = "VehicleFailed"
EVENT_FETCHED_AGAIN = "FetchedAgain"
EVENT_CLEANED_UP = "CleanedUp"
EVENT_CLEANUP_FAILED = "CleanupFailed"
