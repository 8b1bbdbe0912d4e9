/** Longer names are no slips of the keyboard, and cost the more to compare. */
const MAX_CHARS = 64
const MAX_EDITS = 4
/** A caller may name thousands of fields that are none: what is compared with what is bounded. */
const MAX_NAMES = 2_000

/** Edits that lead from one text to the other, or more than `most`. Swapped neighbours count as one (Damerau). */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1]
      const replaced = (last[j - 1] ?? 0) + (isSame ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwap ? (before[j - 2] ?? 0) + 1 : replaced
      row.push(Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced, swapped))
    }
    if (Math.min(...row) > most) return most + 1
    before = last
    last = row
  }
  return last[b.length] ?? 0
}

const plain = (text: string) => text.toLowerCase().replaceAll(/[\s_-]+/g, '_')

/** The name that was most likely meant; `undefined` where none is near. */
export function nearest(text: string, names: Iterable<string>): string | undefined {
  if (text.length > MAX_CHARS) return undefined
  const wanted = plain(text)
  let best: string | undefined
  let least = Math.min(MAX_EDITS, Math.max(1, Math.floor(wanted.length / 3))) + 1
  let left = MAX_NAMES
  for (const name of names) {
    if (left === 0) break
    left -= 1
    if (name.length > MAX_CHARS) continue
    const edits = distance(wanted, plain(name), least - 1)
    if (edits >= least) continue
    least = edits
    best = name
  }
  return best
}
