// The Go peer of `throng serve`: net package, one goroutine for each connection; crypto/tls,
// gorilla/websocket.
//
//	server PORT sink|echo|ws [CERT KEY]
//
// With a certificate and its key, over TLS. Prints "ready" when it listens and, on SIGTERM or SIGINT, how
// many connections it accepted. The net package listens with the largest backlog that the system allows
// (somaxconn).
package main

import (
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"github.com/gorilla/websocket"
)

var accepted, open, peak atomic.Int64

func up() {
	accepted.Add(1)
	now := open.Add(1)
	for was := peak.Load(); now > was && !peak.CompareAndSwap(was, now); was = peak.Load() {
	}
}

// Not io.Copy: between two TCP connections it splices through a pipe, which costs each connection
// two more descriptors. 4 KiB is what servers with many mostly idle connections commonly choose.
func handle(conn net.Conn, echo bool) {
	defer conn.Close()
	defer open.Add(-1)
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if echo {
			if _, err := conn.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}

var upgrader = websocket.Upgrader{ReadBufferSize: 4096, WriteBufferSize: 4096}

func talk(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	up()
	defer open.Add(-1)
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if conn.WriteMessage(kind, message) != nil {
			return
		}
	}
}

func main() {
	if len(os.Args) != 3 && len(os.Args) != 5 {
		log.Fatal("usage: server PORT sink|echo|ws [CERT KEY]")
	}
	log.SetOutput(os.Stderr)
	mode := os.Args[2]
	listener, err := net.Listen("tcp4", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if len(os.Args) == 5 {
		pair, err := tls.LoadX509KeyPair(os.Args[3], os.Args[4])
		if err != nil {
			log.Fatal(err)
		}
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		fmt.Printf("{\"connections\":{\"accepted\":%d,\"peak\":%d}}\n", accepted.Load(), peak.Load())
		os.Exit(0)
	}()
	fmt.Println("ready")
	if mode == "ws" {
		log.Fatal(http.Serve(listener, http.HandlerFunc(talk)))
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		up()
		go handle(conn, mode == "echo")
	}
}
