// Package mediapeer is the media side of a client as far as a bridge can tell, made to be cheap: fifty of them fit beside a
// bridge on a small machine. Each has a socket of its own, answers connectivity checks (RFC 8445, as an agent of the lite
// kind), does DTLS-SRTP (RFC 5764), sends what it is given, counts what comes by its headers, and sends receiver reports
// and transport-wide feedback as a browser does. Of the packets that come it decrypts a sample.
//
// It negotiates nothing: who uses it hands it the bridge's side of a transport and takes its own from Remote.
package mediapeer
