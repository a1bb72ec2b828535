"""Writes a nested dict as TOML: tables, lists of tables, strings, numbers, booleans, lists."""

import json


def dumps(table: dict, prefix: str = "") -> str:
    lines = [f"{key} = {_value(value)}" for key, value in table.items() if not _is_table(value)]
    text = "\n".join(lines) + "\n" if lines else ""
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            text += f"\n[{name}]\n" + dumps(value, name + ".")
        elif _is_table(value):
            text += "".join(f"\n[[{name}]]\n" + dumps(item, name + ".") for item in value)
    return text


def _is_table(value) -> bool:
    if isinstance(value, dict):
        return True
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _value(value) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value if isinstance(value, (bool, int)) else str(value))
