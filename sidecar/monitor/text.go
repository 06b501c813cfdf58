package monitor

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds that keep a status readable in "kubectl describe" and far below the API's limit of 32768 bytes per message.
const (
	maxTexts     = 12
	maxTextBytes = 512
	// maxNoteBytes is the API's limit of an event's note (k8s.io/kubernetes, pkg/apis/core/validation/events.go).
	maxNoteBytes = 1024
)

// joinTexts makes one message of several. It says how many it left out.
func joinTexts(all []string) string {
	shown := all[:min(len(all), maxTexts)]
	parts := make([]string, 0, len(shown)+1)
	for _, text := range shown {
		parts = append(parts, oneLine(text, maxTextBytes))
	}
	if left := len(all) - len(shown); left > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", left))
	}
	return strings.Join(parts, "; ")
}

// oneLine replaces every run of white space by one blank and cuts what is too long, never within a character.
func oneLine(text string, limit int) string {
	const mark = "..."
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	if len(text) <= limit {
		return text
	}
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + mark
}
