/** Longer names are no slips of the keyboard, and cost the more to compare. */
const MAX_CHARS = 64
const MAX_EDITS = 4
/** Characters that are looked at for one text, about a millisecond: a caller may send many that are none of thousands. */
const MAX_STEPS = 100_000
let steps = 0

/** Rows of the comparison: the one before last, the last one and this one. */
let rows = [new Uint8Array(MAX_CHARS + 1), new Uint8Array(MAX_CHARS + 1), new Uint8Array(MAX_CHARS + 1)] as const

/**
 * Edits that lead from one text to the other, or more than `most`. Swapped neighbours count as one (Damerau). Only the
 * part of each row that is within `most` of the diagonal is looked at: what is beyond takes more edits.
 */
function distance(a: string, b: string, most: number): number {
  // A letter may become longer where it is made small.
  if (Math.abs(a.length - b.length) > most || Math.max(a.length, b.length) > MAX_CHARS) return most + 1
  for (let j = 0; j <= b.length; j += 1) rows[1][j] = j
  for (let i = 1; i <= a.length; i += 1) {
    const [before, last, row] = rows
    const [from, to] = [Math.max(1, i - most), Math.min(b.length, i + most)]
    steps += to - from + 1
    row[from - 1] = from === 1 ? i : most + 1
    if (to < b.length) row[to + 1] = most + 1
    let least = row[from - 1] ?? 0
    for (let j = from; j <= to; j += 1) {
      const isSame = a[i - 1] === b[j - 1]
      let edits = Math.min((last[j - 1] ?? 0) + (isSame ? 0 : 1), (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwap) edits = Math.min(edits, (before[j - 2] ?? 0) + 1)
      row[j] = edits
      if (edits < least) least = edits
    }
    if (least > most) return most + 1
    rows = [last, row, before]
  }
  return rows[1][b.length] ?? 0
}

const plain = (text: string) => text.toLowerCase().replaceAll(/[\s_-]+/g, '_')

/** The name that was most likely meant; `undefined` where none is near, among those that are looked at. */
export function didYouMean(text: string, names: Iterable<string>): string | undefined {
  if (text.length > MAX_CHARS) return undefined
  const wanted = plain(text)
  let best: string | undefined
  let least = Math.min(MAX_EDITS, Math.max(1, Math.floor(wanted.length / 3))) + 1
  steps = 0
  for (const name of names) {
    if (steps > MAX_STEPS) break
    steps += 1
    if (name.length > MAX_CHARS) continue
    steps += name.length
    const edits = distance(wanted, plain(name), least - 1)
    if (edits >= least) continue
    least = edits
    best = name
  }
  return best
}
