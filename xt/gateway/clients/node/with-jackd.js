// A job through jackd: put, reserved, deleted. Arguments: host and port.
'use strict';
const assert = require('assert');
const Jackd = require('jackd');

async function work(host, port) {
  const client = new Jackd();
  await client.connect({ host, port: Number(port) });
  await client.use('jackd');
  await client.watch('jackd');
  const body = 'a job\r\n'.repeat(1000);
  const put = await client.put(body);
  const job = await client.reserveWithTimeout(5);
  assert.deepStrictEqual([job.id, job.payload.toString()], [put, body]);
  await client.delete(job.id);
  await client.disconnect();
  console.log('ok');
}

work(process.argv[2], process.argv[3]).catch((error) => {
  console.error(error);
  process.exit(1);
});
