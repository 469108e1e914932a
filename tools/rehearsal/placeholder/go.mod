module assistant-stack/tools/rehearsal/placeholder

go 1.24.0
