"""The schema of the section. Imported only where a configuration is read: the agent does without its library."""

from typing import Any

from marshmallow import ValidationError, post_load, validates

from hacore import convert
from hacore.schema import Converted, Secret, SectionSchema
from hacore_listener_webhook.plugin import WebhookSettings


class WebhookSchema(SectionSchema):
    """``plugins: {webhook: {url: https://ops.example/hacore}}``."""

    url = Converted(convert.word, required=True, metadata={"description": "where the service is; events and switchovers are below it"})
    token = Secret(load_default=None)
    timeout_s = Converted(convert.seconds, data_key="timeout", load_default=WebhookSettings.timeout_s)

    @validates("url")
    def is_url(self, value: str, **_: object) -> None:
        """Refuse what no request can be sent to."""
        if not value.startswith(("http://", "https://")):
            raise ValidationError("a URL that begins with http:// or https://")

    @post_load
    def freeze(self, data: dict[str, Any], **_: object) -> WebhookSettings:
        """Return what the plugin is built with."""
        return WebhookSettings(**{**data, "url": data["url"].rstrip("/")})
