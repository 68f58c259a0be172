"""JSON Schema of conditions: nodes, and for each field of the catalogue the comparisons that it allows."""

from rules.core.fields import CATALOGUE, FieldSpec, FieldType
from rules.core.language import (
    CHOICES_MAX,
    CONDITIONS_MAX,
    LIST_OPERATORS,
    NEVER_AT_MAXIMUM,
    NEVER_AT_MINIMUM,
    NUMBER_MAX,
    TIMES_MAX,
    Operator,
    comparable_fields,
    suitable_operators,
)
from rules.core.schema_parts import Schema, object_of, reference, time_of_day


def condition_definitions() -> dict[str, Schema]:
    """`$defs` of conditions: `node`, `comparison`, and one `field_…` for each field."""
    fields = {f"field_{spec.name}": _comparison_of(spec) for spec in CATALOGUE.values()}
    return {"node": _node(), "comparison": _comparison(), **fields}


def conditions_schema(description: str) -> Schema:
    return {
        "type": "array",
        "items": reference("node"),
        "minItems": 1,
        "maxItems": CONDITIONS_MAX,
        "description": description,
    }


def _node() -> Schema:
    return {
        "title": "Condition",
        "oneOf": [
            reference("comparison"),
            _group("all", conditions_schema("True when every one of these is true.")),
            _group("any", conditions_schema("True when at least one of these is true.")),
            _group("not", reference("node")),
        ],
    }


def _group(key: str, inside: Schema) -> Schema:
    return object_of({key: inside}, required=[key], title=key)


def _comparison() -> Schema:
    return {
        "title": "Comparison",
        "type": "object",
        "required": ["field", "operator", "value"],
        "properties": {"field": {"enum": list(CATALOGUE), "description": "The fact that is compared."}},
        # Not "oneOf": whoever mistypes a value wants to hear of that field only.
        "allOf": [
            {
                "if": {"properties": {"field": {"const": name}}, "required": ["field"]},
                "then": reference(f"field_{name}"),
            }
            for name in CATALOGUE
        ],
    }


def _comparison_of(spec: FieldSpec) -> Schema:
    """The comparisons of one field: one variant for each kind of value that its operators take."""
    suitable = [operator for operator in Operator if operator in suitable_operators(spec)]
    variants: dict[str, tuple[Schema, list[str]]] = {}
    for operator in suitable:
        value = _value(spec, operator)
        variants.setdefault(str(value), (value, []))[1].append(operator.value)
    return object_of(
        {
            "field": {"const": spec.name},
            "operator": {"enum": [operator.value for operator in suitable]},
            "value": {"description": f"{spec.meaning} In: {spec.unit}."},
        },
        required=["field", "operator", "value"],
        title=spec.name,
        description=f"{spec.meaning} ({spec.kind}; {spec.unit})",
    ) | {
        "oneOf": [
            {"properties": {"operator": {"enum": operators}, "value": value}}
            for value, operators in variants.values()
        ]
    }


def _value(spec: FieldSpec, operator: Operator) -> Schema:
    literal = _literal(spec)
    if operator is Operator.BETWEEN:
        return {"type": "array", "items": literal, "minItems": 2, "maxItems": 2}
    if operator in LIST_OPERATORS:
        some = {"type": "array", "items": literal, "minItems": 1, "maxItems": CHOICES_MAX}
        if spec.choices:  # all of them would decide nothing
            some["not"] = {"allOf": [{"contains": {"const": choice}} for choice in spec.choices]}
        return some
    literal = _that_decides(literal, spec, operator)
    references = list(comparable_fields(spec, operator))
    if not references:
        return literal
    other = object_of(
        {
            "field": {"enum": references},
            "times": {
                "type": "number",
                "minimum": -TIMES_MAX,
                "maximum": TIMES_MAX,
                "not": {"const": 0},
                "default": 1,
            },
        },
        required=["field"],
        title="another field",
    )
    return {"anyOf": [literal, other]}


def _literal(spec: FieldSpec) -> Schema:
    if spec.choices:
        return {"enum": list(spec.choices)}
    if spec.type is FieldType.TIME_OF_DAY:
        return time_of_day()
    return {
        "type": "integer" if spec.type is FieldType.INTEGER else "number",
        "minimum": -NUMBER_MAX if spec.minimum is None else spec.minimum,
        "maximum": NUMBER_MAX if spec.maximum is None else spec.maximum,
    }


def _that_decides(literal: Schema, spec: FieldSpec, operator: Operator) -> Schema:
    """Without the end beyond which the fact never lies."""
    too_high, too_low = operator in NEVER_AT_MAXIMUM, operator in NEVER_AT_MINIMUM
    if spec.choices:
        return {"enum": list(spec.choices)[int(too_low) : len(spec.choices) - int(too_high)]}
    if spec.type is FieldType.TIME_OF_DAY:
        return literal | {"not": {"const": "00:00"}} if too_low else literal
    strict = dict(literal)
    if too_high and spec.maximum is not None:
        strict["exclusiveMaximum"] = strict.pop("maximum")
    if too_low and spec.minimum is not None:
        strict["exclusiveMinimum"] = strict.pop("minimum")
    return strict
