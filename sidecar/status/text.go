package status

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds that keep a status readable in "kubectl describe" and far below the
// API's limit of 32768 bytes per message.
const (
	maxTexts     = 20
	maxTextBytes = 1024
)

// joinTexts makes one message of several, each on one line and of bounded
// length. It says how many it left out.
func joinTexts(all []string) string {
	shown := all[:min(len(all), maxTexts)]
	lines := make([]string, 0, len(shown)+1)
	for _, text := range shown {
		lines = append(lines, oneLine(text))
	}
	if left := len(all) - len(shown); left > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", left))
	}
	return strings.Join(lines, "; ")
}

// oneLine replaces every run of white space by one blank and cuts what is too
// long, never within a character.
func oneLine(text string) string {
	return cut(strings.Join(strings.Fields(text), " "), maxTextBytes)
}

func cut(text string, limit int) string {
	const mark = "..."
	if len(text) <= limit {
		return text
	}
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}

// quoted lists names as people write them: "a", "b".
func quoted(names []string) string {
	marked := make([]string, 0, len(names))
	for _, name := range names {
		marked = append(marked, fmt.Sprintf("%q", name))
	}
	return strings.Join(marked, ", ")
}
