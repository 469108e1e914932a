"""``make connect``: from nothing to a message answered on Slack, Feishu or Lark, step by step."""
