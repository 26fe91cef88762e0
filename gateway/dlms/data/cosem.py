"""Interface classes by number and name (Blue Book 4.3 to 4.5): a row an attribute, a row a method.

Types are the names of axdr.TAGS; "any" stands for a CHOICE. Where versions of a class differ, each
has its row. An unknown class can still be reached by numbers.
"""

from __future__ import annotations


class InterfaceClass:
    """rows: "name: type" of each attribute after logical_name, which every class has; methods: the
    name of each. They stay texts: a board has room for few tuples, and asks for one at a time."""

    __slots__ = ("_methods", "_rows", "id", "name", "version")

    def __init__(
        self, id: int, version: int, name: str, rows: list[str], methods: list[str]
    ) -> None:
        self.id = id
        self.version = version
        self.name = name
        self._rows = rows
        self._methods = methods

    @property
    def attributes(self) -> list[tuple[int, str, str]]:
        """[(index, name, type name)], from 1 on."""
        found: list[tuple[int, str, str]] = []
        for row in [_LOGICAL_NAME] + self._rows:
            name, kind = row.split(": ")
            found.append((len(found) + 1, name, kind))
        return found

    @property
    def methods(self) -> list[tuple[int, str]]:
        """[(index, name)], from 1 on."""
        return [(offset + 1, name) for offset, name in enumerate(self._methods)]

    def attribute_index(self, name: str) -> int:
        """ValueError names the attributes there are."""
        names = [known for _, known, _ in self.attributes]
        if name in names:
            return names.index(name) + 1
        raise ValueError(f"class {self.name} has no attribute {name!r}, but {', '.join(names)}")

    def attribute_name(self, index: int) -> str:
        """The name, or the number as text where the class has no such attribute."""
        row = self._row(index)
        return str(index) if row is None else row.split(": ")[0]

    def attribute_type(self, index: int) -> str:
        """The type's name; "any" where it is a choice or unknown."""
        row = self._row(index)
        return "any" if row is None else row.split(": ")[1]

    def method_index(self, name: str) -> int:
        """ValueError names the methods there are."""
        if name in self._methods:
            return self._methods.index(name) + 1
        names = ", ".join(self._methods) or "none"
        raise ValueError(f"class {self.name} has no method {name!r}, but {names}")

    def method_name(self, index: int) -> str:
        """The name, or the number as text where the class has no such method."""
        return self._methods[index - 1] if 1 <= index <= len(self._methods) else str(index)

    def _row(self, index: int) -> str | None:
        if index == 1:
            return _LOGICAL_NAME
        return self._rows[index - 2] if 2 <= index <= len(self._rows) + 1 else None


_LOGICAL_NAME = "logical_name: octet-string"

# attributes and methods of the highest version; lower ones have the first of them
_ASSOCIATION = [
    "object_list: array",
    "associated_partners_id: structure",
    "application_context_name: any",
    "xdlms_context_info: structure",
    "authentication_mechanism_name: any",
    "secret: octet-string",
    "association_status: enum",
    "security_setup_reference: octet-string",
    "user_list: array",
    "current_user: structure",
]
_ASSOCIATION_METHODS = [
    "reply_to_hls_authentication",
    "change_hls_secret",
    "add_object",
    "remove_object",
    "add_user",
    "remove_user",
]
_ASSOCIATION_SN = [
    "object_list: array",
    "access_rights_list: array",
    "security_setup_reference: octet-string",
    "user_list: array",
    "current_user: structure",
]
_ASSOCIATION_SN_METHODS = [
    "reserved",
    "reserved",
    "read_by_logicalname",
    "reserved",
    "change_secret",
    "reserved",
    "reserved",
    "reply_to_hls_authentication",
    "add_user",
    "remove_user",
]
_PUSH = [
    "push_object_list: array",
    "send_destination_and_method: structure",
    "communication_window: array",
    "randomisation_start_interval: long-unsigned",
    "number_of_retries: unsigned",
    "repetition_delay: long-unsigned",
    "port_reference: octet-string",
    "push_client_sap: integer",
    "push_protection_parameters: array",
    "push_operation_method: enum",
    "confirmation_parameters: structure",
    "last_confirmation_date_time: date-time",
]
_SECURITY = [
    "security_policy: enum",
    "security_suite: enum",
    "client_system_title: octet-string",
    "server_system_title: octet-string",
    "certificates: array",
]

# of one class by rising version
_ALL = [
    InterfaceClass(1, 0, "data", ["value: any"], []),
    InterfaceClass(3, 0, "register", ["value: any", "scaler_unit: structure"], ["reset"]),
    InterfaceClass(
        4,
        0,
        "extended_register",
        ["value: any", "scaler_unit: structure", "status: any", "capture_time: octet-string"],
        ["reset"],
    ),
    InterfaceClass(
        5,
        0,
        "demand_register",
        [
            "current_average_value: any",
            "last_average_value: any",
            "scaler_unit: structure",
            "status: any",
            "capture_time: octet-string",
            "start_time_current: octet-string",
            "period: double-long-unsigned",
            "number_of_periods: long-unsigned",
        ],
        ["reset", "next_period"],
    ),
    InterfaceClass(
        7,
        1,
        "profile_generic",
        [
            "buffer: array",
            "capture_objects: array",
            "capture_period: double-long-unsigned",
            "sort_method: enum",
            "sort_object: structure",
            "entries_in_use: double-long-unsigned",
            "profile_entries: double-long-unsigned",
        ],
        ["reset", "capture"],
    ),
    InterfaceClass(
        8,
        0,
        "clock",
        [
            "time: octet-string",
            "time_zone: long",
            "status: unsigned",
            "daylight_savings_begin: octet-string",
            "daylight_savings_end: octet-string",
            "daylight_savings_deviation: integer",
            "daylight_savings_enabled: boolean",
            "clock_base: enum",
        ],
        [
            "adjust_to_quarter",
            "adjust_to_measuring_period",
            "adjust_to_minute",
            "adjust_to_preset_time",
            "preset_adjusting_time",
            "shift_time",
        ],
    ),
    InterfaceClass(9, 0, "script_table", ["scripts: array"], ["execute"]),
    InterfaceClass(11, 0, "special_days_table", ["entries: array"], ["insert", "delete"]),
    InterfaceClass(12, 1, "association_sn", _ASSOCIATION_SN[:2], _ASSOCIATION_SN_METHODS[:8]),
    InterfaceClass(12, 2, "association_sn", _ASSOCIATION_SN[:3], _ASSOCIATION_SN_METHODS[:8]),
    InterfaceClass(12, 3, "association_sn", _ASSOCIATION_SN, _ASSOCIATION_SN_METHODS),
    InterfaceClass(12, 4, "association_sn", _ASSOCIATION_SN, _ASSOCIATION_SN_METHODS),
    InterfaceClass(15, 0, "association_ln", _ASSOCIATION[:7], _ASSOCIATION_METHODS[:4]),
    InterfaceClass(15, 1, "association_ln", _ASSOCIATION[:8], _ASSOCIATION_METHODS[:4]),
    InterfaceClass(15, 2, "association_ln", _ASSOCIATION, _ASSOCIATION_METHODS),
    InterfaceClass(
        17, 0, "sap_assignment", ["sap_assignment_list: array"], ["connect_logical_device"]
    ),
    InterfaceClass(
        18,
        0,
        "image_transfer",
        [
            "image_block_size: double-long-unsigned",
            "image_transferred_blocks_status: bit-string",
            "image_first_not_transferred_block_number: double-long-unsigned",
            "image_transfer_enabled: boolean",
            "image_transfer_status: enum",
            "image_to_activate_info: array",
        ],
        ["image_transfer_initiate", "image_block_transfer", "image_verify", "image_activate"],
    ),
    InterfaceClass(
        20,
        0,
        "activity_calendar",
        [
            "calendar_name_active: octet-string",
            "season_profile_active: array",
            "week_profile_table_active: array",
            "day_profile_table_active: array",
            "calendar_name_passive: octet-string",
            "season_profile_passive: array",
            "week_profile_table_passive: array",
            "day_profile_table_passive: array",
            "activate_passive_calendar_time: octet-string",
        ],
        ["activate_passive_calendar"],
    ),
    InterfaceClass(
        21,
        0,
        "register_monitor",
        ["thresholds: array", "monitored_value: structure", "actions: array"],
        [],
    ),
    InterfaceClass(
        22,
        0,
        "single_action_schedule",
        ["executed_script: structure", "type: enum", "execution_time: array"],
        [],
    ),
    InterfaceClass(40, 0, "push_setup", _PUSH[:6], ["push"]),
    InterfaceClass(40, 1, "push_setup", _PUSH[:9], ["push"]),
    InterfaceClass(
        40,
        2,
        "push_setup",
        _PUSH[:5] + ["repetition_delay: structure"] + _PUSH[6:],
        ["push", "reset"],
    ),
    InterfaceClass(
        64, 0, "security_setup", _SECURITY[:4], ["security_activate", "global_key_transfer"]
    ),
    InterfaceClass(
        64,
        1,
        "security_setup",
        _SECURITY,
        [
            "security_activate",
            "key_transfer",
            "key_agreement",
            "generate_key_pair",
            "generate_certificate_request",
            "import_certificate",
            "export_certificate",
            "remove_certificate",
        ],
    ),
    InterfaceClass(
        70,
        0,
        "disconnect_control",
        ["output_state: boolean", "control_state: enum", "control_mode: enum"],
        ["remote_disconnect", "remote_reconnect"],
    ),
    InterfaceClass(
        71,
        0,
        "limiter",
        [
            "monitored_value: structure",
            "threshold_active: any",
            "threshold_normal: any",
            "threshold_emergency: any",
            "min_over_threshold_duration: double-long-unsigned",
            "min_under_threshold_duration: double-long-unsigned",
            "emergency_profile: structure",
            "emergency_profile_group_id_list: array",
            "emergency_profile_active: boolean",
            "actions: structure",
        ],
        [],
    ),
]

CLASSES: dict[int, InterfaceClass] = {}  # by class id, in the version the gateway expects
VERSIONS: dict[tuple[int, int], InterfaceClass] = {}  # by class id and version
for _each in _ALL:
    VERSIONS[_each.id, _each.version] = _each
    CLASSES[_each.id] = _each
CLASSES[40] = VERSIONS[40, 0]  # what meters in the field have


def find(class_id: int, version: int | None = None) -> InterfaceClass | None:
    """The class in this version; in the expected one where the version is None or unknown; None for
    an unknown class, which can still be reached by numbers."""
    if version is not None and (class_id, version) in VERSIONS:
        return VERSIONS[class_id, version]
    return CLASSES.get(class_id)


def by_name(name: str) -> InterfaceClass:
    """The class called `name` ("activity_calendar"); ValueError names those there are."""
    for interface in CLASSES.values():
        if interface.name == name:
            return interface
    names = ", ".join(sorted([interface.name for interface in CLASSES.values()]))
    raise ValueError(f"no interface class is called {name!r}, but {names}")


def attribute_name(class_id: int, index: int) -> str:
    """ "activity_calendar.season_profile_passive", with numbers where the names are unknown."""
    if class_id not in CLASSES:
        return "class %d.%d" % (class_id, index)
    return f"{CLASSES[class_id].name}.{CLASSES[class_id].attribute_name(index)}"


def method_name(class_id: int, index: int) -> str:
    """ "activity_calendar.activate_passive_calendar", with numbers where the names are unknown."""
    if class_id not in CLASSES:
        return "class %d.%d" % (class_id, index)
    return f"{CLASSES[class_id].name}.{CLASSES[class_id].method_name(index)}"
