import { SEED } from '../simulator/seed.ts'
import type { Simulator } from '../simulator/simulator.ts'
import type { Reply, TestGateway } from './harness.ts'

/** Calls that take one request of HighLevel's each: no schema is read, no value is changed. */
export const PASS_THROUGH = { SCHEMA_VALIDATION: 'off', WRITE_DIALECT: 'verbatim' }

/** A record id of its own for each number. */
export const recordId = (n: number): string => n.toString(16).padStart(24, '0')

/** Records 0 to `count` of a location, and the paths on which they are patched. */
export function putRecords(simulator: Simulator, count: number, locationId: string = SEED.locationId): string[] {
  // An id is of one record, whatever the location.
  const first = [...locationId].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 0xffffff, 7) * 1_000_000
  return Array.from({ length: count }, (_, n) => {
    simulator.putRecord(SEED.schemaKey, { id: recordId(first + n), locationId })
    return `/records/${SEED.schemaKey}/${recordId(first + n)}?locationId=${locationId}`
  })
}

export const CHANGE = { properties: { customer_number: 5 } }

/** How many replies had which outcome. */
export function countOutcomes(replies: readonly Reply[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status, json } of replies) {
    const outcome = status === 200 ? '200' : `${status} ${String(json['code'])}`
    counts[outcome] = (counts[outcome] ?? 0) + 1
  }
  return counts
}

/** PATCHes each path at once. */
export const patchAll = (
  { patch }: Pick<TestGateway, 'patch'>,
  paths: readonly string[],
  options: Parameters<TestGateway['patch']>[1] = {}
): Promise<Reply[]> => Promise.all(paths.map((path) => patch(CHANGE, options, path)))

/** Connects a further location with its round trip. */
export async function connectLocation(gateway: Pick<TestGateway, 'install'>, simulator: Simulator, locationId: string) {
  const reply = await gateway.install(simulator.connect(locationId).code)
  if (reply.status !== 200) throw new Error(reply.text)
}

/** Another program uses so many places of the seed location. */
export async function callAsOtherClient(simulator: Simulator, calls: number): Promise<void> {
  const headers = { authorization: `Bearer ${simulator.privateToken()}`, version: '2021-07-28' }
  const url = `${simulator.origin}/objects/${SEED.schemaKey}?locationId=${SEED.locationId}`
  await Promise.all(Array.from({ length: calls }, async () => (await fetch(url, { headers })).arrayBuffer()))
}
