"""What the assistant itself says, in the sender's language. Braces are filled in by name."""

from __future__ import annotations

from dataclasses import dataclass

from app.pipeline.language import Language, language_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    help: str
    example: str
    too_long: str
    not_answered: str
    denied: str
    created: str
    unsupported: str
    refused: str
    unknown_team: str
    over_quota: str
    missing: str
    invalid_date: str
    too_long_value: str
    parameters: dict[str, str]


CHINESE = Phrases(
    example="创建一个周会的日程在2026-12-01",
    help="请直接提问，或让我做一件事，例如：创建一个周会的日程在2026-12-01",
    too_long="问题太长了，我一次读不完。请缩短后再试。",
    not_answered="抱歉，我没能得出答案。请换一种说法再问一次。",
    denied="抱歉，您没有权限使用这项功能。如有需要，请联系管理员。",
    created="已创建日程：{title}（{date}）",
    unsupported="这个平台没有提供我可以使用的日历，所以我没有创建日程。附件是日程文件（.ics），您可以自行导入日历。",
    refused="平台拒绝了这个日程，没有创建成功。附件是日程文件（.ics），您可以自行导入日历。",
    unknown_team="抱歉，这里还没有为您的团队开通服务。请联系管理员。",
    over_quota="您的团队在这一分钟内的提问次数已用完，请稍后再试。",
    missing="缺少{parameter}。请补充后再发一次，例如：{example}",
    invalid_date="“{value}”不是有效的日期。请使用存在的日期，格式为 YYYY-MM-DD，例如 2026-12-01。",
    too_long_value="{parameter}太长：最多 {limit} 个字符，收到 {length} 个。",
    parameters={"summary": "标题", "start": "日期"},
)
ENGLISH = Phrases(
    example="create an event called Weekly on 2026-12-01",
    help="Ask me a question, or tell me to do something, for example: create an event called Weekly on 2026-12-01",
    too_long="Your question is too long for me to read at once. Please shorten it and try again.",
    not_answered="Sorry, I could not come up with an answer. Please ask again in other words.",
    denied="Sorry, you are not allowed to do that. Please ask an administrator if you need it.",
    created="Created the event: {title} ({date})",
    unsupported="This platform offers no calendar that I could use, so I have created nothing. The attached file (.ics) holds "
    "the event: you can import it into your calendar.",
    refused="The platform refused the event, so nothing was created. The attached file (.ics) holds it: you can import it into "
    "your calendar.",
    unknown_team="Sorry, I have not been set up for your team. Please ask an administrator.",
    over_quota="Your team has used up its questions for this minute. Please try again a little later.",
    missing="The {parameter} is missing. Please send it again with one, for example: {example}",
    invalid_date='"{value}" is not a valid date. Please use a date that exists, as YYYY-MM-DD, for example 2026-12-01.',
    too_long_value="The {parameter} is too long: at most {limit} characters, {length} came.",
    parameters={"summary": "title", "start": "date"},
)


def phrases_for(text: str) -> Phrases:
    """The phrases in the language of ``text``, what the sender wrote."""
    return CHINESE if language_of(text) is Language.CHINESE else ENGLISH
