// Session descriptions (RFC 8866) as lines: one list for the session and one for each m-line.

/** parseSDP parts a description. A media section is {kind, port, proto, formats, lines}; lines are without their ends. */
export function parseSDP(sdp) {
	const out = { lines: [], media: [] };
	let lines = out.lines;
	for (const line of String(sdp).split(/\r?\n/)) {
		if (line === '') continue;
		if (line.startsWith('m=')) {
			const [kind, port, proto, ...formats] = line.slice(2).split(' ');
			const section = { kind, port: Number(port), proto, formats, lines: [] };
			out.media.push(section);
			lines = section.lines;
			continue;
		}
		lines.push(line);
	}
	return out;
}

/** attr returns the value of the first line `a=key:value`, the empty string for `a=key`, undefined for none. */
export function attr(lines, key) {
	return attrs(lines, key)[0];
}

/** attrs returns the values of all lines `a=key:value`. */
export function attrs(lines, key) {
	const found = [];
	for (const line of lines) {
		if (line === `a=${key}`) found.push('');
		else if (line.startsWith(`a=${key}:`)) found.push(line.slice(key.length + 3));
	}
	return found;
}

/** ufragOf is the ICE user fragment that a description begins with: it changes with each ICE restart. */
export const ufragOf = (sdp) => /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1];
