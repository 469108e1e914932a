module assistant-stack/tests/probe

go 1.24.0
