//go:build tools

// Package tools keeps the program in go.mod.
package tools

import _ "github.com/hashicorp/consul"
