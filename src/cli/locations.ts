import { randomUUID } from 'node:crypto'
import { text as readAll } from 'node:stream/consumers'
import { describeLocation, type LocationView } from '../grants/describe-location.ts'
import type { Subject } from '../grants/grant.ts'
import type { Vault } from '../grants/vault/vault.ts'
import { assertNoArguments, type Command, formatTable, parseId, UsageError } from './command.ts'

const PAGE_SIZE = 1_000

const subjectOf = (id: string): Subject => `location:${id}`

async function loadLocations(vault: Vault): Promise<LocationView[]> {
  const all: LocationView[] = []
  for (;;) {
    const page = await vault.listLocations({ after: all.at(-1)?.id, limit: PAGE_SIZE })
    for (const grant of page) all.push(describeLocation(grant, Date.now()))
    if (page.length < PAGE_SIZE) return all
  }
}

export const listLocations: Command = {
  usage: '',
  description: 'lists the locations and the state of their grants',
  parse(args) {
    assertNoArguments(args)
    return async ({ vault }) => {
      const locations = await loadLocations(vault)
      const rows = locations.map(({ id, kind, state, since, reason }) => [id, kind, state, since, reason ?? ''])
      return {
        document: { locations },
        text: formatTable([['LOCATION', 'KIND', 'STATE', 'SINCE', 'WHY'], ...rows], 'There are no locations.')
      }
    }
  }
}

export const showLocation: Command = {
  usage: 'ID',
  description: 'shows one location, without its tokens',
  parse(args) {
    const id = parseId(args, 'location id')
    return async ({ vault }) => {
      const grant = await vault.findGrant(subjectOf(id))
      if (grant === undefined) return { ok: false, document: { id, found: false }, text: `There is no location ${id}.` }
      const location = describeLocation(grant, Date.now())
      return {
        document: location,
        text: Object.entries(location)
          .map(([name, value]) => `${name}: ${value ?? ''}`)
          .join('\n')
      }
    }
  }
}

export const addToken: Command = {
  usage: 'ID',
  description: 'connects a location with a private integration token from standard input',
  parse(args) {
    const id = parseId(args, 'location id')
    return async ({ vault, stdin }) => {
      // Pasted tokens have line ends, and wrapped ones have whitespace inside.
      const token = (await readAll(stdin)).replace(/\s+/g, '')
      if (!/^[\x21-\x7e]{8,4096}$/.test(token)) throw new UsageError('Expected a token on standard input')
      const issuedAt = Date.now()
      const grant = { subject: subjectOf(id), kind: 'private', companyId: null, scopes: '', verified: true } as const
      const tokens = { accessToken: token, expiresAt: null, issuedAt }
      await vault.installGrant(
        { ...grant, tokens, stateSince: issuedAt, dueAt: null },
        { id: randomUUID(), at: issuedAt, isRepeated: false }
      )
      return {
        document: { id, kind: 'private' },
        text: `Location ${id} is connected with its private integration token.`
      }
    }
  }
}

export const removeLocation: Command = {
  usage: 'ID',
  description: 'removes the tokens of a location; gateways stop using them within 15 s',
  parse(args) {
    const id = parseId(args, 'location id')
    return async ({ vault }) => {
      const ok = await vault.markUninstalled(subjectOf(id), 'removed by an operator', Date.now())
      return {
        ok,
        document: { id, removed: ok },
        text: ok ? `Location ${id} is removed.` : `There is no connected location ${id}.`
      }
    }
  }
}
