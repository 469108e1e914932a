module assistant-stack/tools/kubernetes/modules/coredns

go 1.24.0

require github.com/coredns/coredns v1.11.3
