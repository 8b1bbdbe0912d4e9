import type { ObjectSchema } from './objects.ts'
import type { RecordInput } from './records.ts'
import { BUSINESS, TICKET } from './seed-objects.ts'

/** The initial data: one agency with two locations, two objects and a few records. */
export const SEED = {
  companyId: 'l1C08ntBrFjLS0elLIYU',
  userId: 'sx6wyHhbFdRXh302Lunr',
  locationId: 've9EPM428h8vShlRW1KT',
  secondLocationId: 'Q9DT3OAqEXDLYuob1G32',
  locations: [
    { id: 've9EPM428h8vShlRW1KT', name: 'Northwind Repairs', address: '47 W 13th St, New York, NY 10011, USA' },
    { id: 'Q9DT3OAqEXDLYuob1G32', name: 'Southside Repairs', address: '12 Mill Lane, Austin, TX 78701, USA' }
  ],
  schemaKey: TICKET.key,
  recordId: '632c34b4c9b7da3358ac9891',
  /** A second ticket of the first location. */
  otherRecordId: '632c34b4c9b7da3358ac9892',
  /** A ticket of the second location. */
  secondRecordId: '632c34b4c9b7da3358ac9893',
  businessRecordId: '63771dcac1116f0e21de8e12'
}

export const SEED_OBJECTS: ObjectSchema[] = [TICKET, BUSINESS]

const TICKET_PROPERTIES = {
  customer_number: 1424,
  ticket_name: 'Customer not able login',
  phone_number: '+917000000000',
  money: { currency: 'default', value: 100 },
  type_of_ticket: 'doubt',
  section_of_app: ['contacts', 'smartlist'],
  recieved_on: '2024-07-11',
  my_files: [{ url: 'https://files.example.com/screenshot.png' }],
  'my_textbox_list.option_a': 'Value 1',
  'my_textbox_list.option_b': 'Value 2',
  external_id: 'T-1424'
}

export const SEED_RECORDS: (RecordInput & { schemaKey: string })[] = [
  {
    schemaKey: TICKET.key,
    id: SEED.recordId,
    owner: [SEED.userId],
    followers: [SEED.userId, 'v5cEPM428h8vShlRW1KT'],
    properties: TICKET_PROPERTIES
  },
  {
    schemaKey: TICKET.key,
    id: SEED.otherRecordId,
    properties: { customer_number: 1425, ticket_name: 'Invoice is missing', external_id: 'T-1425' }
  },
  {
    schemaKey: TICKET.key,
    id: SEED.secondRecordId,
    locationId: SEED.secondLocationId,
    properties: { customer_number: 7, ticket_name: 'Phone does not ring', external_id: 'T-7' }
  },
  {
    schemaKey: BUSINESS.key,
    id: SEED.businessRecordId,
    properties: { name: 'Northwind Ltd', email: 'office@example.com', phone: '+15125550100', city: 'Austin' }
  }
]
