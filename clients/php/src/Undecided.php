<?php

declare(strict_types=1);

namespace Patd;

/** The token could be neither accepted nor refused. Answer 503 with it, never 401. */
final class Undecided extends \RuntimeException
{
}
