// Writes to files of the current directory that it holds open, until the file END is there: lines behind a `log`, a
// `large` file from its beginning to its end, one in no order (`scattered`). One more, `whole`, is replaced again and
// again. What fails, it says. At its end it prints how many rounds there were.
//
//	keeper END
package main

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

const (
	pause = 50 * time.Millisecond
	block = 64 << 10
	// Of the scattered file: too many for the memory that one file may take.
	blocks = 1024
	// Prime to the number of blocks, so that each has its turn.
	stride = 389
	// Rounds from one fsync of the log to the next, and from one `whole` file to the next.
	every = 10
)

func main() {
	log := create("log", os.O_APPEND)
	large, scattered := create("large", 0), create("scattered", 0)
	round := 0
	for ; !exists(os.Args[1]); round++ {
		_, err := fmt.Fprintln(log, round)
		must(err)
		_, err = large.Write(filled(round))
		must(err)
		scatter(scattered, round)
		if round%every == 0 {
			must(log.Sync())
			must(os.WriteFile("whole", fmt.Appendln(nil, round), 0o644))
		}
		time.Sleep(pause)
	}
	for late := round; late < round+blocks; late++ {
		scatter(scattered, late)
	}
	for _, file := range []*os.File{log, large, scattered} {
		must(file.Close())
	}
	fmt.Println(round)
}

func create(name string, flags int) *os.File {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|flags, 0o644)
	must(err)
	return file
}

// scatter writes the block whose turn it is, and whose content is its place.
func scatter(file *os.File, round int) {
	place := round * stride % blocks
	_, err := file.WriteAt(filled(place), int64(place)*block)
	must(err)
}

func filled(number int) []byte {
	return bytes.Repeat([]byte{byte(number)}, block)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
