package process

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// tailBytes is how much of the end of a log is looked at.
const tailBytes = 64 << 10

// Tail returns up to n last lines of the file, without the final newline. A missing or unreadable file gives a note instead, because
// the tail is only ever an addition to another error.
func Tail(path string, n int) string {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	offset := max(info.Size()-tailBytes, 0)
	data, err := io.ReadAll(io.NewSectionReader(file, offset, tailBytes))
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	return lastLines(data, n)
}

func lastLines(data []byte, n int) string {
	lines := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return string(bytes.Join(lines, []byte("\n")))
}
