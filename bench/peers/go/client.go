// The Go peer of `throng load`: net package, one goroutine for each connection; crypto/tls,
// gorilla/websocket.
//
//	client PORT sink|echo|ws CONNECTIONS HOLD_SECONDS [SIZE [tls]]
//
// Opens CONNECTIONS to 127.0.0.1:PORT; when all are up, holds them for HOLD_SECONDS. In echo and ws mode
// each connection then sends a message of SIZE bytes, waits for all of it, and sends the next. With tls it
// takes any certificate. Prints JSON with the fields of throng's summary that the harness reads.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Dials under way at once.
const dialing = 512

func number(i int) int {
	n, err := strconv.Atoi(os.Args[i])
	if err != nil {
		log.Fatal(err)
	}
	return n
}

// Sends and awaits echoes until the deadline; says how many came back.
func exchange(conn net.Conn, size int, until time.Time) (replies int) {
	conn.SetDeadline(until)
	message, reply := make([]byte, size), make([]byte, size)
	for {
		if _, err := conn.Write(message); err != nil {
			return
		}
		if _, err := io.ReadFull(conn, reply); err != nil {
			return
		}
		replies++
	}
}

func converse(conn *websocket.Conn, size int, until time.Time) (replies int) {
	conn.SetReadDeadline(until)
	conn.SetWriteDeadline(until)
	message := make([]byte, size)
	for i := range message {
		message[i] = 'x'
	}
	for {
		if conn.WriteMessage(websocket.TextMessage, message) != nil {
			return
		}
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
		replies++
	}
}

func main() {
	if len(os.Args) < 5 {
		log.Fatal("usage: client PORT sink|echo|ws CONNECTIONS HOLD_SECONDS [SIZE [tls]]")
	}
	target, mode, n, size := "127.0.0.1:"+os.Args[1], os.Args[2], number(3), 16
	seconds, err := strconv.ParseFloat(os.Args[4], 64)
	if err != nil {
		log.Fatal(err)
	}
	if len(os.Args) > 5 {
		size = number(5)
	}
	var config *tls.Config
	scheme := "ws://"
	if len(os.Args) > 6 {
		config, scheme = &tls.Config{InsecureSkipVerify: true}, "wss://"
	}
	dialer := websocket.Dialer{ReadBufferSize: 4096, WriteBufferSize: 4096, TLSClientConfig: config}
	hold := time.Duration(seconds * float64(time.Second))

	var up, done sync.WaitGroup
	up.Add(n)
	done.Add(n)
	begin, finish := make(chan time.Time), make(chan struct{})
	limit := make(chan struct{}, dialing)
	replies := make([]int, n)
	start := time.Now()
	for i := 0; i < n; i++ {
		limit <- struct{}{}
		go func(i int) {
			defer done.Done()
			var conn net.Conn
			var ws *websocket.Conn
			var err error
			switch {
			case mode == "ws":
				if ws, _, err = dialer.Dial(scheme+target+"/", nil); err == nil {
					conn = ws.UnderlyingConn()
				}
			case config != nil:
				conn, err = tls.Dial("tcp4", target, config)
			default:
				conn, err = net.Dial("tcp4", target)
			}
			<-limit
			if err != nil {
				log.Fatal(err)
			}
			up.Done()
			// The deadline comes to each connection when all are up.
			switch mode {
			case "ws":
				replies[i] = converse(ws, size, <-begin)
			case "echo":
				replies[i] = exchange(conn, size, <-begin)
			default:
				<-finish
			}
			if secured, ok := conn.(*tls.Conn); ok {
				conn = secured.NetConn()
			}
			conn.(*net.TCPConn).SetLinger(0) // no TIME_WAIT for the next run to meet
			conn.Close()
		}(i)
	}
	up.Wait()
	setUp := time.Since(start)
	from := time.Now()
	if mode != "sink" {
		for i := 0; i < n; i++ {
			begin <- from.Add(hold)
		}
	} else {
		time.Sleep(hold)
		close(finish)
	}
	done.Wait()
	total := 0
	for _, r := range replies {
		total += r
	}
	fmt.Printf("{\"started_unix_s\":%.6f,\"connections\":{\"established\":%d},\"set_up\":{\"seconds\":%.6f},\"message_rate\":{\"reached_per_s\":%.1f}}\n",
		float64(start.UnixMicro())/1e6, n, setUp.Seconds(), float64(total)/hold.Seconds())
}
