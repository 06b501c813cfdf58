// Package dev pins the generators and checkers that the build uses.
package dev
