"""Patterns of strings in a spec, each with the words that say what to write: a pattern itself tells nobody that."""

URI = r"^(file|https?|s3|gs)://[^\s]+$"
STORE_URI = r"^(file|s3|gs)://[^\s]+$"
SHA256 = r"^[0-9a-f]{64}$"
NAME = r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$"
OBJECT_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
COUNT_OR_PERCENT = r"^([0-9]{1,6}|100%|[1-9]?[0-9]%)$"
SOME_OR_PERCENT = r"^([1-9][0-9]{0,5}|100%|[1-9][0-9]?%)$"
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"

WORDS = {
    URI: "needs an address with its scheme: file:///path (on a volume of the stages), https://, s3:// or gs://",
    STORE_URI: "needs an address that can be written to: file:///path (on a volume of the stages), s3:// or gs://",
    SHA256: "needs the 64 lower-case hex digits that sha256sum prints",
    NAME: "needs at most 40 lower-case letters, digits and dashes, the first and the last no dash",
    OBJECT_NAME: "needs the name of an object in the cluster: lower-case letters, digits, dashes and dots",
    COUNT_OR_PERCENT: "needs a number of vehicles such as '2', or a share of the fleet such as '5%'",
    SOME_OR_PERCENT: "needs a number of vehicles such as '2', or a share such as '5%', not none (spec.suspend stops)",
    CLOCK: "needs a time of day as HH:MM, such as 05:00",
}
