package catalogue

import (
	"cmp"
	"strings"
)

// compareVersions orders version and channel names as people read them: runs
// of digits by their value, all else by its bytes, so 10.0.4.0 comes before
// 10.0.4.0sr1 and that before 10.5.0.0.
func compareVersions(a, b string) int {
	restA, restB := a, b
	for restA != "" && restB != "" {
		var partA, partB string
		partA, restA = nextPart(restA)
		partB, restB = nextPart(restB)
		if order := compareParts(partA, partB); order != 0 {
			return order
		}
	}
	if order := cmp.Compare(len(restA), len(restB)); order != 0 {
		return order
	}
	return cmp.Compare(a, b) // only leading zeros differ
}

// compareParts compares two runs, numerically when both are digits. Numbers
// are compared as text of equal length, so no run is too long.
func compareParts(a, b string) int {
	if isDigit(a[0]) && isDigit(b[0]) {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if order := cmp.Compare(len(a), len(b)); order != 0 {
			return order
		}
	}
	return cmp.Compare(a, b)
}

// nextPart splits off the longest run of digits or of other bytes; s must not
// be empty.
func nextPart(s string) (part, rest string) {
	digits := isDigit(s[0])
	end := 1
	for end < len(s) && isDigit(s[end]) == digits {
		end++
	}
	return s[:end], s[end:]
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }
