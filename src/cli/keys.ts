import { randomBytes } from 'node:crypto'
import { credentialHash } from '../grants/vault/credential-hash.ts'
import { ID } from '../shared/ids.ts'
import {
  assertNoArguments,
  type Command,
  formatDate,
  formatTable,
  parseId,
  parseOptions,
  UsageError
} from './command.ts'

/** 256 random bits, with a prefix that secret scanners and people recognize. */
const generateKey = () => `rgk_${randomBytes(32).toString('base64url')}`

export const createKey: Command = {
  usage: "--name N --locations a,b (or '*')",
  description: 'creates an API key and prints it once',
  parse(args) {
    const { name, locations } = parseOptions(args, ['name', 'locations'])
    if (!/^[^\p{Cc}]{1,100}$/u.test(name)) throw new UsageError('--name must have 1 to 100 printable characters')
    const ids = [...new Set(locations.split(',').map((id) => id.trim()))]
    const invalid = ids.find((id) => id !== '*' && !ID.test(id))
    if (invalid !== undefined) throw new UsageError(`Not a location id: ${invalid}`)

    return async ({ vault }) => {
      const key = generateKey()
      const id = `key_${randomBytes(6).toString('hex')}`
      await vault.addKey({ id, name, hash: credentialHash(key), locations: ids.includes('*') ? ['*'] : ids })
      return { document: { id, name, key }, text: `${key}\nKey ${id} (${name}). It is not shown again.` }
    }
  }
}

export const listKeys: Command = {
  usage: '',
  description: 'lists the API keys, without their secrets',
  parse(args) {
    assertNoArguments(args)
    return async ({ vault }) => {
      const keys = (await vault.listKeys()).map(({ hash: _, ...key }) => key)
      const rows = keys.map((key) => [
        key.id,
        key.name,
        key.locations.join(','),
        formatDate(key.createdAt),
        key.revokedAt === null ? '' : `revoked ${formatDate(key.revokedAt)}`
      ])
      return {
        document: { keys },
        text: formatTable([['ID', 'NAME', 'LOCATIONS', 'CREATED', ''], ...rows], 'There are no keys.')
      }
    }
  }
}

export const revokeKey: Command = {
  usage: 'ID',
  description: 'revokes an API key; gateways reject it within 15 s',
  parse(args) {
    const id = parseId(args, 'key id')
    return async ({ vault }) => {
      const ok = await vault.revokeKey(id)
      return { ok, document: { id, revoked: ok }, text: ok ? `Key ${id} is revoked.` : `There is no key ${id}.` }
    }
  }
}
