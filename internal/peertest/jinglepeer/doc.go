// Package jinglepeer holds a test that a WebRTC library and a browser understand what package jingle writes: sessions of
// two peers whose descriptions and candidates travel as Jingle stanzas only.
package jinglepeer
