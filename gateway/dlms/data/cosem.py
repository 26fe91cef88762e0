"""Interface classes by number and name (Blue Book 4.3 to 4.5): a row an attribute, a row a method.

Types are the names of axdr.TAGS; "any" stands for a CHOICE. Where versions of a class differ, each
has its row. An unknown class can still be reached by numbers.
"""

from __future__ import annotations


class InterfaceClass:
    """`attributes` are (index, name, type name), `methods` are (index, name); both start at 1."""

    __slots__ = ("attributes", "id", "methods", "name", "version")

    def __init__(
        self,
        id: int,
        version: int,
        name: str,
        attributes: list[tuple[int, str, str]],
        methods: list[tuple[int, str]],
    ) -> None:
        self.id = id
        self.version = version
        self.name = name
        self.attributes = attributes
        self.methods = methods

    def attribute_index(self, name: str) -> int:
        """ValueError names the attributes there are."""
        for index, known, _ in self.attributes:
            if known == name:
                return index
        names = ", ".join([row[1] for row in self.attributes])
        raise ValueError(f"class {self.name} has no attribute {name!r}, but {names}")

    def attribute_name(self, index: int) -> str:
        """The name, or the number as text where the class has no such attribute."""
        for known, name, _ in self.attributes:
            if known == index:
                return name
        return str(index)

    def attribute_type(self, index: int) -> str:
        """The type's name; "any" where it is a choice or unknown."""
        for known, _, kind in self.attributes:
            if known == index:
                return kind
        return "any"

    def method_index(self, name: str) -> int:
        """ValueError names the methods there are."""
        for index, known in self.methods:
            if known == name:
                return index
        names = ", ".join([row[1] for row in self.methods]) or "none"
        raise ValueError(f"class {self.name} has no method {name!r}, but {names}")

    def method_name(self, index: int) -> str:
        """The name, or the number as text where the class has no such method."""
        for known, name in self.methods:
            if known == index:
                return name
        return str(index)


def _interface(
    id: int, version: int, name: str, attributes: list[str], methods: list[str]
) -> InterfaceClass:
    """`attributes` are "name: type", after logical_name, which every class has."""
    rows = [(1, "logical_name", "octet-string")]
    for offset, row in enumerate(attributes):
        attribute, kind = row.split(": ")
        rows.append((offset + 2, attribute, kind))
    return InterfaceClass(
        id, version, name, rows, [(offset + 1, method) for offset, method in enumerate(methods)]
    )


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
    _interface(1, 0, "data", ["value: any"], []),
    _interface(3, 0, "register", ["value: any", "scaler_unit: structure"], ["reset"]),
    _interface(
        4,
        0,
        "extended_register",
        ["value: any", "scaler_unit: structure", "status: any", "capture_time: octet-string"],
        ["reset"],
    ),
    _interface(
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
    _interface(
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
    _interface(
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
    _interface(9, 0, "script_table", ["scripts: array"], ["execute"]),
    _interface(11, 0, "special_days_table", ["entries: array"], ["insert", "delete"]),
    _interface(15, 0, "association_ln", _ASSOCIATION[:7], _ASSOCIATION_METHODS[:4]),
    _interface(15, 1, "association_ln", _ASSOCIATION[:8], _ASSOCIATION_METHODS[:4]),
    _interface(15, 2, "association_ln", _ASSOCIATION, _ASSOCIATION_METHODS),
    _interface(17, 0, "sap_assignment", ["sap_assignment_list: array"], ["connect_logical_device"]),
    _interface(
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
    _interface(
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
    _interface(
        21,
        0,
        "register_monitor",
        ["thresholds: array", "monitored_value: structure", "actions: array"],
        [],
    ),
    _interface(
        22,
        0,
        "single_action_schedule",
        ["executed_script: structure", "type: enum", "execution_time: array"],
        [],
    ),
    _interface(40, 0, "push_setup", _PUSH[:6], ["push"]),
    _interface(40, 1, "push_setup", _PUSH[:9], ["push"]),
    _interface(
        40,
        2,
        "push_setup",
        _PUSH[:5] + ["repetition_delay: structure"] + _PUSH[6:],
        ["push", "reset"],
    ),
    _interface(
        64, 0, "security_setup", _SECURITY[:4], ["security_activate", "global_key_transfer"]
    ),
    _interface(
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
    _interface(
        70,
        0,
        "disconnect_control",
        ["output_state: boolean", "control_state: enum", "control_mode: enum"],
        ["remote_disconnect", "remote_reconnect"],
    ),
    _interface(
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
