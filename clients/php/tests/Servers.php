<?php

declare(strict_types=1);

use Patd\Client;

/** A process that ends when its standard input closes. */
abstract class Process
{
    private $process;
    private array $pipes = [];

    protected function start(array $command): string
    {
        $this->process = proc_open($command, [['pipe', 'r'], ['pipe', 'w'], STDERR], $this->pipes);
        return trim((string) fgets($this->pipes[1]));
    }

    public function close(): void
    {
        array_map(fclose(...), $this->pipes);
        proc_close($this->process);
    }
}

/** `patd dev` with a token that expires after a second. */
final class Server extends Process
{
    public readonly array $demo;

    public function __construct()
    {
        $command = [getenv('PATD_BIN'), 'dev', '--json', '--port', '0', '--seed', __DIR__ . '/seed.toml'];
        $this->demo = json_decode($this->start($command), true);
    }

    /** A token that has expired. */
    public function expired(): string
    {
        $secret = $this->demo['seeded']['tokens']['Brief']['token'];
        for ($time = 0; $time < 200 && $this->client()->verify($secret)->valid; $time++) {
            usleep(50_000);
        }
        return $secret;
    }

    public function client(mixed ...$options): Client
    {
        return new Client($this->demo['url'], $this->demo['introspect_token'], ...$options);
    }

    /** @return array{id: string, secret: string} */
    public function createToken(array $abilities, array $fields = []): array
    {
        $body = ['name' => 'test', 'abilities' => $abilities] + $fields;
        $data = $this->api('POST', '/api/v1/user/api-tokens', json_encode($body))['data'];
        return ['id' => $data['id'], 'secret' => preg_replace('/\A.*\|/', '', $data['token'])];
    }

    public function revoke(array $token): void
    {
        $this->api('DELETE', "/api/v1/user/api-tokens/{$token['id']}", '');
    }

    private function api(string $method, string $path, string $body): array
    {
        $header = ["Authorization: Bearer {$this->demo['session_token']}", 'Content-Type: application/json'];
        $http = ['method' => $method, 'header' => $header, 'content' => $body];
        return json_decode(file_get_contents($this->demo['url'] . $path, false, stream_context_create(['http' => $http])), true);
    }
}

/** A server that answers each request with the same text; null: it stays silent. */
final class FakeServer extends Process
{
    public readonly string $url;
    private readonly string $file;

    public function __construct(?string $answer)
    {
        $this->file = tempnam(sys_get_temp_dir(), 'patd-fake-');
        $answer === null ? unlink($this->file) : file_put_contents($this->file, $answer);
        $this->url = 'http://' . $this->start([PHP_BINARY, __DIR__ . '/fake.php', $this->file, "$this->file.count"]);
    }

    public function connections(): int
    {
        return strlen((string) @file_get_contents("$this->file.count.connections"));
    }

    public function requests(): int
    {
        return strlen((string) @file_get_contents("$this->file.count.requests"));
    }

    public function close(): void
    {
        parent::close();
        array_map(unlink(...), glob("$this->file*"));
    }
}

function answer(string $status, string $body, string $header = ''): string
{
    return "HTTP/1.1 $status\r\nContent-Length: " . strlen($body) . "\r\n$header\r\n$body";
}

/** The body of a verdict that accepts, with other fields. */
function verdict(array $fields = []): string
{
    $token = ['id' => '1', 'type' => 'personal_access_token', 'name' => 'x', 'abilities' => ['*'], 'expires_at' => null];
    return json_encode(['data' => $fields + ['valid' => true, 'code' => 'valid', 'token' => $token]]);
}

spl_autoload_register(static function (string $class): void {
    $file = __DIR__ . '/../src/' . strtr(substr($class, strlen('Patd\\')), '\\', '/') . '.php';
    if (str_starts_with($class, 'Patd\\') && is_file($file)) {
        require $file;
    }
});
