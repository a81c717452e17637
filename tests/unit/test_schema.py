from typing import Any

import pytest
from marshmallow import fields, post_load, validate

from hacore import convert
from hacore.schema import Converted, KeyDescription, Secret, SectionSchema, check, describe, unknown_keys


class Inner(SectionSchema):
    host = fields.String(required=True)
    port = Converted(convert.whole(1, 65535), load_default=80)


class Outer(SectionSchema):
    name = fields.String(required=True)
    count = fields.Integer(load_default=3, validate=validate.Range(min=1))
    rate = fields.Float(load_default=None)
    is_on = fields.Boolean(load_default=False)
    tags = fields.List(fields.String(), load_default=list)
    labels = fields.Dict(load_default=dict)
    sizes = Converted(convert.listed(convert.size_bytes), load_default=())
    password = Secret(load_default=None)
    inner = fields.Nested(Inner)

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> tuple[tuple[str, Any], ...]:
        return tuple(sorted(data.items()))


def test_a_right_section_becomes_what_post_load_makes_of_it() -> None:
    assert dict(Outer().load({"name": "a", "inner": {"host": "h"}, "count": None}))["inner"] == {"host": "h", "port": 80}


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        ({}, {("name",): "a value: the key is required"}),
        ({"name": None}, {("name",): "a value: the key is required"}),
        ({"name": []}, {("name",): "text"}),
        ({"name": "a", "count": "x"}, {("count",): "a whole number"}),
        ({"name": "a", "rate": "x"}, {("rate",): "a number"}),
        ({"name": "a", "is_on": "x"}, {("is_on",): "on or off"}),
        ({"name": "a", "tags": "x"}, {("tags",): "a list"}),
        ({"name": "a", "tags": ["x", 1]}, {("tags", 1): "text"}),
        ({"name": "a", "labels": []}, {("labels",): "a mapping"}),
        ({"name": "a", "inner": 5}, {("inner",): "a mapping"}),
        (
            {"name": "a", "inner": {"port": 0}},
            {("inner", "host"): "a value: the key is required", ("inner", "port"): "a whole number from 1 to 65535"},
        ),
        ([], {(): "a mapping"}),
        ("x", {(): "a mapping"}),
    ],
)
def test_everything_wrong_is_said_in_words_of_ours(section: object, wrong: dict[tuple[str | int, ...], str]) -> None:
    assert check(Outer(), section) == wrong


def test_wrong_parts_of_a_value_have_their_own_paths() -> None:
    assert set(check(Outer(), {"name": "a", "sizes": ["1MB", "x", []]})) == {("sizes", 1), ("sizes", 2)}


def test_unknown_keys_are_found_at_every_depth_and_are_no_error() -> None:
    section = {"name": "a", "nam": 1, "inner": {"host": "h", "prot": 1}}
    assert check(Outer(), section) == {}
    assert [path for path, _ in unknown_keys(Outer(), section)] == [("nam",), ("inner", "prot")]


def test_a_section_describes_its_keys() -> None:
    described = {one.path: one for one in describe(Outer())}
    assert described[("password",)] == KeyDescription(path=("password",), default=None, required=False, secret=True)
    assert described[("inner", "port")].default == 80
    assert described[("tags",)].default == []
    assert described[("name",)].required
