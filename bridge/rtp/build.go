package rtp

import "encoding/binary"

// The builders append an RTCP packet to dst and return it, as append does: they allocate only when dst's capacity is used up.

const maxCount = 31 // five bits

func appendHead(dst []byte, count, kind uint8, words int) []byte {
	dst = append(dst, 2<<6|count, kind)
	return binary.BigEndian.AppendUint16(dst, uint16(words-1))
}

// AppendSenderReport appends r with at most 31 report blocks (RFC 3550 §6.4.1).
func AppendSenderReport(dst []byte, r SenderReport, blocks []ReportBlock) []byte {
	blocks = blocks[:min(len(blocks), maxCount)]
	dst = appendHead(dst, uint8(len(blocks)), TypeSenderReport, 7+6*len(blocks))
	dst = binary.BigEndian.AppendUint32(dst, r.SSRC)
	dst = binary.BigEndian.AppendUint64(dst, r.NTP)
	dst = binary.BigEndian.AppendUint32(dst, r.Timestamp)
	dst = binary.BigEndian.AppendUint32(dst, r.Packets)
	dst = binary.BigEndian.AppendUint32(dst, r.Octets)
	return appendBlocks(dst, blocks)
}

// AppendReceiverReport appends a receiver report with at most 31 report blocks (RFC 3550 §6.4.2).
func AppendReceiverReport(dst []byte, ssrc uint32, blocks []ReportBlock) []byte {
	blocks = blocks[:min(len(blocks), maxCount)]
	dst = appendHead(dst, uint8(len(blocks)), TypeReceiverReport, 2+6*len(blocks))
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	return appendBlocks(dst, blocks)
}

func appendBlocks(dst []byte, blocks []ReportBlock) []byte {
	for _, r := range blocks {
		dst = binary.BigEndian.AppendUint32(dst, r.SSRC)
		lost := min(max(r.Lost, -1<<23), 1<<23-1)
		dst = binary.BigEndian.AppendUint32(dst, uint32(r.Fraction)<<24|uint32(lost)&0xffffff)
		dst = binary.BigEndian.AppendUint32(dst, r.Highest)
		dst = binary.BigEndian.AppendUint32(dst, r.Jitter)
		dst = binary.BigEndian.AppendUint32(dst, r.LastSR)
		dst = binary.BigEndian.AppendUint32(dst, r.Delay)
	}
	return dst
}

// AppendCNAME appends a source description that holds the canonical name of one source, cut at 255 bytes (RFC 3550 §6.5).
func AppendCNAME(dst []byte, ssrc uint32, name string) []byte {
	name = name[:min(len(name), 255)]
	words := 2 + (2+len(name))/4 + 1 // the item, and one to four zeros
	dst = appendHead(dst, 1, TypeDescription, words)
	end := len(dst) - 4 + 4*words
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = append(dst, ItemCNAME, byte(len(name)))
	dst = append(dst, name...)
	for len(dst) < end {
		dst = append(dst, 0)
	}
	return dst
}

// AppendGoodbye appends a goodbye of at most 31 sources (RFC 3550 §6.6).
func AppendGoodbye(dst []byte, ssrcs ...uint32) []byte {
	ssrcs = ssrcs[:min(len(ssrcs), maxCount)]
	dst = appendHead(dst, uint8(len(ssrcs)), TypeGoodbye, 1+len(ssrcs))
	for _, ssrc := range ssrcs {
		dst = binary.BigEndian.AppendUint32(dst, ssrc)
	}
	return dst
}

func appendFeedback(dst []byte, format, kind uint8, words int, sender, media uint32) []byte {
	dst = appendHead(dst, format, kind, words)
	dst = binary.BigEndian.AppendUint32(dst, sender)
	return binary.BigEndian.AppendUint32(dst, media)
}

// AppendNACK appends a NACK for the lost sequence numbers, which are in order (RFC 4585 §6.2.1). Nothing is appended for none.
func AppendNACK(dst []byte, sender, media uint32, lost []uint16) []byte {
	if len(lost) == 0 {
		return dst
	}
	start := len(dst)
	dst = appendFeedback(dst, FormatNACK, TypeTransport, 3, sender, media)
	first, mask := lost[0], uint16(0)
	for _, seq := range lost[1:] {
		if ahead := seq - first; ahead >= 1 && ahead <= 16 {
			mask |= 1 << (ahead - 1)
		} else if ahead != 0 {
			dst = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(dst, first), mask)
			first, mask = seq, 0
		}
	}
	dst = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(dst, first), mask)
	binary.BigEndian.PutUint16(dst[start+2:], uint16((len(dst)-start)/4-1))
	return dst
}

// AppendPLI appends a picture loss indication (RFC 4585 §6.3.1).
func AppendPLI(dst []byte, sender, media uint32) []byte {
	return appendFeedback(dst, FormatPLI, TypePayload, 3, sender, media)
}

// AppendFIR appends a full intra request for one source; a new request has a new number (RFC 5104 §4.3.1).
func AppendFIR(dst []byte, sender, media uint32, number uint8) []byte {
	dst = appendFeedback(dst, FormatFIR, TypePayload, 5, sender, 0)
	dst = binary.BigEndian.AppendUint32(dst, media)
	return append(dst, number, 0, 0, 0)
}

// AppendREMB appends an estimate in bits/s for at most 255 sources (draft-alvestrand-rmcat-remb-03 §2.2). The bitrate is
// rounded down to 18 bits.
func AppendREMB(dst []byte, sender uint32, bitrate uint64, ssrcs ...uint32) []byte {
	ssrcs = ssrcs[:min(len(ssrcs), 255)]
	dst = appendFeedback(dst, FormatApplication, TypePayload, 5+len(ssrcs), sender, 0)
	exponent := uint32(0)
	for bitrate>>exponent > 0x3ffff {
		exponent++
	}
	dst = append(dst, "REMB"...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(ssrcs))<<24|exponent<<18|uint32(bitrate>>exponent))
	for _, ssrc := range ssrcs {
		dst = binary.BigEndian.AppendUint32(dst, ssrc)
	}
	return dst
}
