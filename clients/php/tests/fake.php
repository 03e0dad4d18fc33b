<?php

// A server that misbehaves: php fake.php FILE COUNTER. It sends the content of FILE as the answer to each request, and
// nothing if there is no such file. The lengths of COUNTER.connections and COUNTER.requests count.

[, $file, $counter] = $argv;
$listener = stream_socket_server('tcp://127.0.0.1:0');
echo stream_socket_get_name($listener, false), "\n";
$streams = [];
$data = [];
// The test ends this process by closing its standard input.
while (true) {
    $ready = [STDIN, $listener, ...$streams];
    $none = null;
    stream_select($ready, $none, $none, null);
    foreach ($ready as $stream) {
        if ($stream === STDIN) {
            exit;
        }
        if ($stream === $listener) {
            $accepted = stream_socket_accept($listener);
            $streams[(int) $accepted] = $accepted;
            $data[(int) $accepted] = '';
            file_put_contents("$counter.connections", '.', FILE_APPEND);
            continue;
        }
        $chunk = fread($stream, 65536);
        if ($chunk === '' || $chunk === false) {
            unset($streams[(int) $stream]);
            fclose($stream);
            continue;
        }
        $data[(int) $stream] .= $chunk;
        [$head, $body] = explode("\r\n\r\n", $data[(int) $stream], 2) + ['', null];
        preg_match('/content-length: (\d+)/i', $head, $length);
        if ($body === null || strlen($body) < (int) $length[1]) {
            continue;
        }
        $data[(int) $stream] = '';
        file_put_contents("$counter.requests", '.', FILE_APPEND);
        if (is_file($file)) {
            $answer = file_get_contents($file);
            @fwrite($stream, $answer);
            if (!str_starts_with($answer, 'HTTP') || str_contains($answer, 'Connection: close')) {
                unset($streams[(int) $stream]);
                fclose($stream);
            }
        }
    }
}
