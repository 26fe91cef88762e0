"""The ledger's records: what each kind holds.

A record is a CBOR array; the first element is its kind. Times are unix, 0 while the
clock was unset.
"""

from __future__ import annotations

# kinds of record, and what follows the kind
# 1, epoch, next seq, last number, acknowledged, routine numbers, jobs that have ended, seqs, the
# segment in which it begins, [floor, early orders] (nothing, or []: none); see memory.py, routine
# numbers of alarms (nothing: none)
CHECKPOINT = 0
# seq, raw, accepted, ended, canceled, paused, pause issued, canary, final number, states, attempts,
# last, names, due, attempts that do not count (nothing: none), when earlier orders to pause or
# resume it were issued (nothing: there were none)
JOB_STATE = 1
ACCEPTED = 2  # number, time, seq, reason, raw, detail
STARTED = 3  # seq, index, attempt
# seq, index, reason, due, attempts, those of them that do not count (nothing: as many as before)
AGAIN = 4
FINISHED = 5  # number, time, seq, index, state, outcome, reason, detail, value, attempts, path, ms
ENDED = 6  # number, time, seq, reason, detail
CANCELED = 7  # number, time, seq, detail
REFUSED = 8  # number, time, topic, digest, job id, reason, detail
EVENT = 9  # number, time, name, detail
ACKNOWLEDGED = 10  # number
PAUSED = 11  # number, time, seq, paused, issued, detail
CANARY = 12  # number, time, seq, verdict, detail
AUDIT = 13  # number, time, kind, details: a record of the audit trail, see gateway/audit.py
EARLY = 14  # number, time, id of a job that is not here yet, issued, paused (null: canceled)
TASK_RUN = 15  # number, time, then as TaskRun in gateway/contract/reports.py
ALARM = 16  # number, time, then as MeterAlarm
OUTAGE = 17  # number, time, then as Outage

WITH_REPORT = (
    ACCEPTED,
    FINISHED,
    ENDED,
    CANCELED,
    REFUSED,
    EVENT,
    PAUSED,
    CANARY,
    EARLY,
    TASK_RUN,
    ALARM,
    OUTAGE,
)
