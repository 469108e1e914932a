// A pod for tests of the addons: it serves one gauge, opens connections when it is asked to, and burns CPU.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

func main() {
	var gauge atomic.Int64
	burn := func() {
		for {
		}
	}
	http.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "# TYPE test_backlog gauge\ntest_backlog %d\n", gauge.Load())
	})
	http.HandleFunc("/set", func(w http.ResponseWriter, r *http.Request) {
		value, err := strconv.ParseInt(r.URL.Query().Get("value"), 10, 64)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		gauge.Store(value)
	})
	http.HandleFunc("/dial", func(w http.ResponseWriter, r *http.Request) {
		connection, err := net.DialTimeout("tcp", r.URL.Query().Get("to"), 3*time.Second)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		connection.Close()
		fmt.Fprintln(w, "connected")
	})
	http.HandleFunc("/burn", func(w http.ResponseWriter, r *http.Request) { go burn() })
	go func() { log.Fatal(http.ListenAndServe(":8081", nil)) }() // a second port, to be left closed by a policy
	log.Fatal(http.ListenAndServe(":8080", nil))
}
