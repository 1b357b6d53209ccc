<?php
// Direct send: mail to mailboxes of your own tenant, as anybody on the internet would send it. No login.
//
// MAIL_HOST=contoso-com.mail.protection.outlook.com MAIL_FROM=scanner@contoso.com MAIL_TO=someone@contoso.com
declare(strict_types=1);

use PHPMailer\PHPMailer\Exception;
use PHPMailer\PHPMailer\PHPMailer;
use PHPMailer\PHPMailer\SMTP;

require 'libphp-phpmailer/autoload.php'; // Debian's; with Composer: __DIR__ . '/vendor/autoload.php'

$reply = '';
$mail = new PHPMailer(true);
try {
    $mail->isSMTP();
    $mail->SMTPDebug = SMTP::DEBUG_SERVER; // for the words of a refusal only, which its exceptions leave out in part
    $mail->Debugoutput = static function (string $line) use (&$reply): void {
        $reply = preg_match('/SERVER -> CLIENT: ([45]\d\d.*)/s', $line, $found) ? trim($found[1]) : $reply;
    };
    $mail->Host = getenv('MAIL_HOST');
    $mail->Port = (int) (getenv('MAIL_PORT') ?: 25);
    $mail->SMTPSecure = PHPMailer::ENCRYPTION_STARTTLS; // or no mail; the server is verified by default: leave it so
    $mail->SMTPAuth = false;
    $mail->Timeout = 60;
    $mail->setFrom(getenv('MAIL_FROM'));
    $mail->addAddress(getenv('MAIL_TO')); // hosted in this tenant; anybody else is refused
    $mail->Subject = 'Scan 4711';
    $mail->Body = "Your scan is ready.\n";
    $mail->send();
    echo "handed over\n";
} catch (Exception $refused) {
    fwrite(STDERR, ($reply ?: $refused->getMessage()) . "\n"); // relaycanary explain says what it means
    exit(str_starts_with($reply, '5') ? 1 : 75); // 5xx: it will not get better; else keep the message and try again later
}
