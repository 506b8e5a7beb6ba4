// The Go peer of `throng load`: net package, one goroutine for each connection.
//
//	client PORT sink|echo CONNECTIONS HOLD_SECONDS [SIZE]
//
// Opens CONNECTIONS to 127.0.0.1:PORT; when all are up, holds them for HOLD_SECONDS. In echo mode each
// connection then sends SIZE bytes, waits for all of them, and sends the next. Prints JSON with the
// fields of throng's summary that the harness reads.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
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

func main() {
	if len(os.Args) < 5 {
		log.Fatal("usage: client PORT sink|echo CONNECTIONS HOLD_SECONDS [SIZE]")
	}
	target, echo, n, size := "127.0.0.1:"+os.Args[1], os.Args[2] == "echo", number(3), 16
	seconds, err := strconv.ParseFloat(os.Args[4], 64)
	if err != nil {
		log.Fatal(err)
	}
	if len(os.Args) > 5 {
		size = number(5)
	}
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
			conn, err := net.Dial("tcp4", target)
			<-limit
			if err != nil {
				log.Fatal(err)
			}
			up.Done()
			if echo {
				// The deadline comes to each connection when all are up.
				replies[i] = exchange(conn, size, <-begin)
			} else {
				<-finish
			}
			conn.(*net.TCPConn).SetLinger(0) // no TIME_WAIT for the next run to meet
			conn.Close()
		}(i)
	}
	up.Wait()
	setUp := time.Since(start)
	from := time.Now()
	if echo {
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
