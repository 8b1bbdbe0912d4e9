import fc from 'fast-check'
import t from 'tap'
import { didYouMean } from '../../src/shared/did-you-mean.ts'

/** The textbook algorithm, with the whole matrix. */
function distance(a: string, b: string): number {
  const table = Array.from({ length: a.length + 1 }, (_, i) => [i, ...new Array<number>(b.length).fill(0)])
  const at = (i: number, j: number) => (i === 0 ? j : (table[i]?.[j] ?? 0))
  for (let i = 1; i <= a.length; i += 1) {
    for (let j = 1; j <= b.length; j += 1) {
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const edits = [at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)]
      if (isSwap) edits.push(at(i - 2, j - 2) + 1)
      const row = table[i]
      if (row) row[j] = Math.min(...edits)
    }
  }
  return at(a.length, b.length)
}

function expected(text: string, names: readonly string[]): string | undefined {
  const most = Math.min(4, Math.max(1, Math.floor(text.length / 3)))
  const near = names.map((name) => ({ name, edits: distance(text, name) })).filter(({ edits }) => edits <= most)
  const least = Math.min(...near.map(({ edits }) => edits))
  return near.find(({ edits }) => edits === least)?.name
}

t.test('finds the name with the fewest edits, the first of several, and none with too many', async (t) => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 14 })

  fc.assert(
    fc.property(
      word,
      fc.array(word, { maxLength: 8 }),
      (text, names) => didYouMean(text, names) === expected(text, names)
    ),
    { numRuns: 2_000 }
  )
  t.pass()
})

t.test('case, spaces, hyphens and underscores are no edits, and very long names are ignored', async (t) => {
  t.equal(didYouMean('My  Text-Box', ['other', 'my_text_box']), 'my_text_box')
  t.equal(didYouMean('x'.repeat(65), ['x'.repeat(65)]), undefined)
  t.equal(didYouMean('x'.repeat(64), ['İ'.repeat(64), 'x'.repeat(65), `${'x'.repeat(63)}y`]), `${'x'.repeat(63)}y`)
})
