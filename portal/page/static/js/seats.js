// Who sits where: which tiles there are, how many fit, and who of too many is seen. Nothing here draws.

const gap = 10; // CSS pixels between tiles
const least = { width: 150, height: 84 }; // a tile is no smaller, as long as there are others to leave out

/** tilesOf lists the tiles of the other members: the camera of each, and each screen beside it. */
export function tilesOf(members) {
	return members.flatMap((member) => {
		const videos = member.sources.filter((s) => s.kind === 'video');
		const camera = videos.find((s) => !s.screen) ?? { name: `${member.id}-v0`, kind: 'video', screen: false, muted: true };
		const screens = videos.filter((s) => s.screen && !s.muted).slice(0, 1); // who says to share more is not to fill the grid
		return [camera, ...screens].map((source) => ({ key: source.name, source, member, screen: source.screen }));
	});
}

/**
 * layout finds the columns with which n tiles are largest in an area, and how large they are. Tiles are between 4:3 and
 * 16:9, in a high area (a phone's) between 3:4 and 16:9.
 */
export function layout(n, area) {
	const highest = area.height > area.width ? 4 / 3 : 3 / 4; // of a tile, for its width
	let best = { columns: 1, width: 0, height: 0 };
	for (let columns = 1; columns <= n; columns++) {
		const rows = Math.ceil(n / columns);
		const cell = { width: (area.width - gap * (columns - 1)) / columns, height: (area.height - gap * (rows - 1)) / rows };
		const width = Math.floor(Math.min(cell.width, cell.height * 16 / 9));
		const height = Math.floor(Math.min(cell.height, width * highest));
		if (width * height > best.width * best.height) best = { columns, width, height };
	}
	return best;
}

/** capacity is how many of n tiles fit without being too small: at least one. */
export function capacity(n, area) {
	for (let fit = n; fit > 1; fit--) {
		const { width, height } = layout(fit, area);
		if (width >= least.width && height >= least.height) return fit;
	}
	return 1;
}

/**
 * seat chooses who is seen. before are the keys of the time before, which stay where they are; keys are all there are, in
 * their order; wanted must be among the seen (the speaker's), in the place of who has not spoken for the longest time.
 * spoken is when each spoke last.
 */
export function seat(before, keys, places, wanted, spoken = new Map()) {
	const there = new Set(keys);
	const seated = before.filter((key) => there.has(key)).slice(0, places);
	for (const key of keys) if (seated.length < places && !seated.includes(key)) seated.push(key);
	if (wanted === undefined || !there.has(wanted) || seated.includes(wanted) || seated.length === 0) return seated;
	let oldest = 0;
	seated.forEach((key, i) => {
		if ((spoken.get(key) ?? 0) <= (spoken.get(seated[oldest]) ?? 0)) oldest = i;
	});
	seated[oldest] = wanted;
	return seated;
}
