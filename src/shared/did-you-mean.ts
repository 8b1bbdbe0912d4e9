/** Longer names are hardly typing errors, and cost more to compare. */
const MAX_CHARS = 64
const MAX_EDITS = 4
/**
 * The work limit for one text, about a millisecond: a caller may send many unknown names, each compared with thousands.
 */
const MAX_STEPS = 100_000
let steps = 0

/** Rows of the distance matrix: the one before the previous, the previous and the current one. */
let rows = [new Uint8Array(MAX_CHARS + 1), new Uint8Array(MAX_CHARS + 1), new Uint8Array(MAX_CHARS + 1)] as const

/**
 * The number of edits from one text to the other, or any number above `maxEdits` if there are more. A swap of
 * neighbours counts as one (Damerau). Only cells within `maxEdits` of the diagonal are computed: the others need more
 * edits.
 */
function distance(a: string, b: string, maxEdits: number): number {
  // Lower-casing may have made a text longer.
  if (Math.abs(a.length - b.length) > maxEdits || Math.max(a.length, b.length) > MAX_CHARS) return maxEdits + 1
  for (let j = 0; j <= b.length; j += 1) rows[1][j] = j
  for (let i = 1; i <= a.length; i += 1) {
    const [before, last, row] = rows
    const [from, to] = [Math.max(1, i - maxEdits), Math.min(b.length, i + maxEdits)]
    steps += to - from + 1
    row[from - 1] = from === 1 ? i : maxEdits + 1
    if (to < b.length) row[to + 1] = maxEdits + 1
    let fewestEdits = row[from - 1] ?? 0
    for (let j = from; j <= to; j += 1) {
      const isSame = a[i - 1] === b[j - 1]
      let edits = Math.min((last[j - 1] ?? 0) + (isSame ? 0 : 1), (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwap) edits = Math.min(edits, (before[j - 2] ?? 0) + 1)
      row[j] = edits
      if (edits < fewestEdits) fewestEdits = edits
    }
    if (fewestEdits > maxEdits) return maxEdits + 1
    rows = [last, row, before]
  }
  return rows[1][b.length] ?? 0
}

const normalize = (text: string) => text.toLowerCase().replaceAll(/[\s_-]+/g, '_')

/** The name that was most likely meant; `undefined` if none is close, among those that the work limit covers. */
export function didYouMean(text: string, names: Iterable<string>): string | undefined {
  if (text.length > MAX_CHARS) return undefined
  const normalized = normalize(text)
  let best: string | undefined
  let bestEdits = Math.min(MAX_EDITS, Math.max(1, Math.floor(normalized.length / 3))) + 1
  steps = 0
  for (const name of names) {
    if (steps > MAX_STEPS) break
    steps += 1
    if (name.length > MAX_CHARS) continue
    steps += name.length
    const edits = distance(normalized, normalize(name), bestEdits - 1)
    if (edits >= bestEdits) continue
    bestEdits = edits
    best = name
  }
  return best
}
