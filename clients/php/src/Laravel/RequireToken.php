<?php

declare(strict_types=1);

namespace Patd\Laravel;

use Closure;
use Illuminate\Contracts\Auth\Factory;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;

/** Lets a request pass if its token is valid and has all abilities: `->middleware('patd:calls:read,calls:write')`. */
final class RequireToken
{
    public function __construct(private readonly Factory $auth, private readonly string $guard = 'patd')
    {
    }

    public function handle(Request $request, Closure $next, string ...$abilities): mixed
    {
        $guard = $this->auth->guard($this->guard);
        $refusal = $guard->checkToken(array_values($abilities));
        if ($refusal !== null) {
            return new JsonResponse($refusal->body(), $refusal->status, $refusal->headers);
        }
        $this->auth->shouldUse($this->guard);
        return $next($request);
    }
}
