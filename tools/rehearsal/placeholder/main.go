// Placeholder stands where a rehearsal has no image of a controller that only works on AWS: it says that it is alive and ready,
// and does nothing of what the controller would do.
package main

import (
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

// Where the controllers that it stands for are asked whether they are alive, unless their arguments name another port.
var known = []string{"8080", "8081", "8085", "9443", "10254", "61779"}

var named = regexp.MustCompile(`:([0-9]{4,5})$`)

func main() {
	ports := map[string]bool{}
	for _, port := range known {
		ports[port] = true
	}
	for _, argument := range os.Args[1:] {
		if found := named.FindStringSubmatch(argument); found != nil {
			ports[found[1]] = true
		}
	}
	answer := http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		_, _ = writer.Write([]byte("a placeholder of the rehearsal\n"))
	})
	for port := range ports {
		go func() { _ = http.ListenAndServe(":"+port, answer) }()
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	<-ended
}
