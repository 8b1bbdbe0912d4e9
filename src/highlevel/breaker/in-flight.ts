/** Nothing came back for so long while this many calls were under way: nobody is there. */
export const SILENCE_MS = 1_500
const MANY = 10

/**
 * The calls on the wire, counted by location, and since when none of a location's was answered. Numbers, not the calls
 * themselves: what a long-lived table has held is promoted with all that hangs on it, whole requests, whenever the table
 * grows, and that cost every call a tenth of its time. Times are on the clock of `performance.now()`.
 */
export function createInFlight() {
  const locations = new Map<string, { calls: number; aliveAt: number; manySince: number }>()
  let calls = 0
  let lastAnswerAt = 0
  /** Before that there were few: an old one among them tells nothing of those that have just begun. */
  let manySince = 0
  const isSilent = (since: number, at: number) => at - since >= SILENCE_MS

  return {
    isMany: () => calls >= MANY,

    begin(locationId: string): void {
      const own = locations.get(locationId)
      if (own !== undefined) {
        own.calls += 1
        if (own.calls === MANY) own.manySince = performance.now()
      } else {
        const at = performance.now()
        locations.set(locationId, { calls: 1, aliveAt: at, manySince: at })
        if (calls === 0) lastAnswerAt = at
      }
      calls += 1
      if (calls === MANY) manySince = performance.now()
    },

    end(locationId: string, isAnswer: boolean, at: number): void {
      calls -= 1
      if (isAnswer) lastAnswerAt = at
      const own = locations.get(locationId)
      if (own === undefined) return
      own.calls -= 1
      if (isAnswer) own.aliveAt = at
      if (own.calls === 0) locations.delete(locationId)
    },

    /** Where there is silence: in HighLevel as a whole, or for this location alone. */
    silence(locationId: string, at: number): 'upstream' | 'location' | undefined {
      if (calls < MANY) return undefined
      if (isSilent(Math.max(lastAnswerAt, manySince), at)) {
        let silent = 0
        for (const { aliveAt } of locations.values()) if (isSilent(aliveAt, at)) silent += 1
        if (silent > 1) return 'upstream'
      }
      const own = locations.get(locationId)
      if (own === undefined || own.calls < MANY) return undefined
      return isSilent(Math.max(own.aliveAt, own.manySince), at) ? 'location' : undefined
    }
  }
}
