//go:build !linux

package udp

const shares, together = false, false
