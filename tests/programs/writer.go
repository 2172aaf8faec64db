// Writes LINES numbered lines to its standard output, which it never closes, and ends as END says: by `exit`, or
// when it is killed, because it may `wait` for that or `grow` until there is no memory. The file READY is there once
// all is written. Threads of its own sleep beside it, as those of any runtime do.
//
//	writer LINES END [READY]
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

const (
	threads = 8
	// Of one write: several of them make a part of an upload.
	piece = 1 << 20
	// So large that the first few go beyond a small container's limit.
	chunk = 16 << 20
)

func main() {
	for range threads {
		go func() {
			runtime.LockOSThread()
			sleep()
		}()
	}
	write()
	if len(os.Args) > 3 {
		must(os.WriteFile(os.Args[3], nil, 0o644))
	}
	switch os.Args[2] {
	case "exit":
		os.Exit(0)
	case "wait":
		sleep()
	case "grow":
		grow()
	}
	must(fmt.Errorf("it cannot %s", os.Args[2]))
}

func write() {
	lines, err := strconv.Atoi(os.Args[1])
	must(err)
	var text bytes.Buffer
	for line := range lines {
		fmt.Fprintf(&text, "%019d\n", line)
	}
	for text.Len() > 0 {
		_, err := os.Stdout.Write(text.Next(piece))
		must(err)
	}
}

func grow() {
	var held [][]byte
	for {
		held = append(held, bytes.Repeat([]byte{1}, chunk))
	}
}

func sleep() {
	for {
		time.Sleep(time.Hour)
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
