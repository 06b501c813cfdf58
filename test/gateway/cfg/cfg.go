// Package cfg reads configuration files of the DataPower Gateway: sequences of the commands that its command line knows,
// as in
//
//	top; configure terminal;
//	%if% available "gateway-peering"
//	gateway-peering "gwd"
//	  local-address 10.1.1.1
//	  no enable-ssl
//	exit
//	%endif%
//
// The reader is lenient: it knows no command, so a command that the gateway would refuse is read like any other, and it
// finds out by itself which commands open a block. The real gateway knows that for each command; the language does not
// say.
package cfg

import (
	"strings"
)

// Command is one command, with the commands of its block when it opens one.
type Command struct {
	// Name is the first word, without "no".
	Name string
	// Args are the other words, without their quotes.
	Args []string
	// No tells whether "no" stands before the name, which deletes an object or switches a setting off.
	No bool
	// Block holds the commands up to the matching "exit".
	Block []Command
	// Line is where it stands, from 1.
	Line int
}

// Arg returns an argument, "" when there are not so many.
func (c Command) Arg(index int) string {
	if index < len(c.Args) {
		return c.Args[index]
	}
	return ""
}

// statement is a command before it is known what belongs to its block.
type statement struct {
	Command
	indent int
}

// Options steer the reader.
type Options struct {
	// Opens tells which commands open a block, because they configure an object. A command that it denies opens one only
	// when the next line is indented deeper.
	Opens func(name string, args []string) bool
	// Available answers `%if% available "x"`; nil means that everything is. Other conditions hold.
	Available func(name string) bool
}

// Parse reads a file.
func Parse(text string, options Options) []Command {
	if options.Available == nil {
		options.Available = func(string) bool { return true }
	}
	if options.Opens == nil {
		options.Opens = func(string, []string) bool { return false }
	}
	reader := &reader{statements: split(text, options.Available), opens: options.Opens}
	var commands []Command
	for reader.more() {
		commands = append(commands, reader.block(false)...)
	}
	return commands
}

// split makes statements of lines: comments and lines under a false condition are gone.
func split(text string, available func(string) bool) []statement {
	var statements []statement
	var conditions []bool
	for number, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "%") {
			conditions = condition(conditions, trimmed, available)
			continue
		}
		if trimmed == "" || trimmed[0] == '#' || !all(conditions) {
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		for _, words := range scan(trimmed) {
			if command := makeCommand(words, number+1); command.Name != "" {
				statements = append(statements, statement{Command: command, indent: indent})
			}
		}
	}
	return statements
}

// condition follows %if%, %else% and %endif%.
func condition(open []bool, line string, available func(string) bool) []bool {
	words := strings.Fields(line)
	switch {
	case words[0] == "%if%":
		holds := true
		if len(words) > 2 && words[1] == "available" {
			holds = available(strings.Trim(words[2], `"`))
		}
		return append(open, holds)
	case words[0] == "%else%" && len(open) > 0:
		open[len(open)-1] = !open[len(open)-1]
	case words[0] == "%endif%" && len(open) > 0:
		return open[:len(open)-1]
	}
	return open
}

func all(conditions []bool) bool {
	for _, holds := range conditions {
		if !holds {
			return false
		}
	}
	return true
}

// scan splits a line into commands at semicolons and each command into words at blanks. Quotes hold words together; a
// backslash takes the next character as it is.
func scan(line string) [][]string {
	var commands [][]string
	var words []string
	var word strings.Builder
	inWord, quoted, escaped := false, false, false
	endWord := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped, inWord = true, true
		case r == '"':
			quoted, inWord = !quoted, true
		case quoted:
			word.WriteRune(r)
		case r == ' ' || r == '\t' || r == '\r':
			endWord()
		case r == ';':
			endWord()
			if len(words) > 0 {
				commands = append(commands, words)
			}
			words = nil
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	endWord()
	if len(words) > 0 {
		commands = append(commands, words)
	}
	return commands
}

func makeCommand(words []string, line int) Command {
	command := Command{Name: words[0], Args: words[1:], Line: line}
	if words[0] == "no" && len(words) > 1 {
		command = Command{Name: words[1], Args: words[2:], No: true, Line: line}
	}
	return command
}

// reader finds the blocks.
type reader struct {
	statements []statement
	next       int
	opens      func(string, []string) bool
}

func (r *reader) more() bool { return r.next < len(r.statements) }

// block reads up to "exit" or "top". On the outermost level an "exit" closes the block of a command that was not known to
// open one, and "top" has nothing to close; both are passed over.
func (r *reader) block(inside bool) []Command {
	var commands []Command
	for r.more() {
		current := r.statements[r.next]
		switch {
		case current.Name == "top":
			if inside {
				return commands // stays for the outermost level
			}
			r.next++
			continue
		case current.Name == "exit":
			r.next++
			if inside {
				return commands
			}
			continue
		}
		r.next++
		command := current.Command
		switch {
		case command.No || command.Name == "configure" || command.Name == "co":
		case !inside && r.opens(command.Name, command.Args):
			command.Block = r.block(true)
		case r.more() && r.statements[r.next].indent > current.indent:
			command.Block = r.indented(current.indent)
		}
		commands = append(commands, command)
	}
	return commands
}

// indented reads the commands that are indented deeper than the one that opened their block, and the "exit" after them.
func (r *reader) indented(indent int) []Command {
	var commands []Command
	for r.more() && r.statements[r.next].indent > indent {
		current := r.statements[r.next]
		if current.Name == "top" {
			return commands
		}
		r.next++
		if current.Name != "exit" {
			commands = append(commands, current.Command)
		}
	}
	if r.more() && r.statements[r.next].Name == "exit" {
		r.next++
	}
	return commands
}
