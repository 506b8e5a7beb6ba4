// The Go peer of `throng serve`: net package, one goroutine for each connection.
//
//	server PORT sink|echo
//
// Prints "ready" when it listens and, on SIGTERM or SIGINT, how many connections it accepted. The net
// package listens with the largest backlog that the system allows (somaxconn).
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

var accepted, open, peak atomic.Int64

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

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: server PORT sink|echo")
	}
	echo := os.Args[2] == "echo"
	listener, err := net.Listen("tcp4", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		fmt.Printf("{\"connections\":{\"accepted\":%d,\"peak\":%d}}\n", accepted.Load(), peak.Load())
		os.Exit(0)
	}()
	fmt.Println("ready")
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		accepted.Add(1)
		if now := open.Add(1); now > peak.Load() {
			peak.Store(now) // only this goroutine stores it
		}
		go handle(conn, echo)
	}
}
