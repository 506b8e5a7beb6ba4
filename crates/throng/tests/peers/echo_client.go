// A client of an echo server. Arguments: port, connections, messages on each.
//
// Checks that what comes back is what was sent, and ends with 0 only then.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
)

func talk(port, number, messages int) error {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := 0; i < messages; i++ {
		// Of every size, so that reads and messages don't coincide.
		message := bytes.Repeat([]byte(fmt.Sprintf("%d:%d;", number, i)), 1+(number*31+i*977)%4000)
		sent := make(chan error, 1)
		go func() {
			_, err := conn.Write(message)
			sent <- err
		}()
		echo := make([]byte, len(message))
		if _, err := io.ReadFull(conn, echo); err != nil {
			return err
		}
		if err := <-sent; err != nil {
			return err
		}
		if !bytes.Equal(echo, message) {
			return fmt.Errorf("connection %d, message %d came back changed", number, i)
		}
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	rest, err := io.ReadAll(conn)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("connection %d: %d bytes too many", number, len(rest))
	}
	return err
}

func main() {
	var numbers [3]int
	for i := range numbers {
		n, err := strconv.Atoi(os.Args[i+1])
		if err != nil {
			log.Fatal(err)
		}
		numbers[i] = n
	}
	port, connections, messages := numbers[0], numbers[1], numbers[2]
	done := make(chan error)
	for n := 0; n < connections; n++ {
		go func(n int) { done <- talk(port, n, messages) }(n)
	}
	for n := 0; n < connections; n++ {
		if err := <-done; err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("all", connections*messages, "came back as they were")
}
