"""The forms, by the word they have in a configuration, in the order in which they are carried out.

Each is a module with compile(item, words), which puts it into the plan; lines(values, words), the
YAML for what is in these values; and shown(values, words), the same for people.
"""

from __future__ import annotations

from tools.package.forms import alarms, clock, limits, profile, tariff

FORMS = {
    "clock": clock,
    "tariff": tariff,
    "profile": profile,
    "alarms": alarms,
    "limits": limits,
}
