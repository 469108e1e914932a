module assistant-stack/tools/kubernetes/modules/pause

go 1.24.0
