-- Health of a DMSModelDeployment for Argo CD: resource.customizations.health.dms.edge_DMSModelDeployment in argocd-cm.
local waiting = { status = "Progressing", message = "waiting for the operator" }
if obj.status == nil or obj.status.conditions == nil then
  return waiting
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return waiting
end
local found = {}
for _, condition in ipairs(obj.status.conditions) do
  if condition.status == "True" then
    found[condition.type] = condition
  elseif condition.type == "Ready" then
    found.NotReady = condition
  end
end
if found.Stalled ~= nil then
  return { status = "Degraded", message = found.Stalled.message }
end
if found.Reconciling ~= nil then
  -- A rollout that was told to wait: for a person, or for its window.
  local waits = { ApprovalRequired = true, OutsideWindow = true }
  local status = waits[found.Reconciling.reason] and "Suspended" or "Progressing"
  return { status = status, message = found.Reconciling.message }
end
if found.Ready ~= nil then
  return { status = "Healthy", message = found.Ready.message }
end
if obj.status.phase == "Suspended" and found.NotReady ~= nil then
  return { status = "Suspended", message = found.NotReady.message }
end
return waiting
